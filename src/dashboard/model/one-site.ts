import type { Backend } from './backend.ts'

/**
 * An API that may know several sites, limited to one: a dashboard with the name of a site shows no
 * other. Sources have no site; they are shown all.
 */
export function limitToSite(backend: Backend, site: string): Backend {
  const { follow } = backend
  return {
    ...backend,
    findJobs: (filter, signal) => backend.findJobs({ ...filter, site }, signal),
    findSubjobs: (filter, signal) => backend.findSubjobs({ ...filter, site }, signal),
    getJob: async (id, signal) => {
      const found = await backend.getJob(id, signal)
      return found?.job.siteId === site ? found : undefined
    },
    getJobs: async (ids, signal) =>
      (await backend.getJobs(ids, signal)).filter(({ siteId }) => siteId === site),
    ask: (question, params, signal) => backend.ask(question, { ...params, site }, signal),
    askPage: (question, params, signal, after) =>
      backend.askPage(question, { ...params, site }, signal, after),
    exportJobs: (filter, format, signal) => backend.exportJobs({ ...filter, site }, format, signal),
    follow: (lastEventId, signal) => follow(lastEventId, signal, site),
  }
}
