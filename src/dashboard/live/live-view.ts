import type { Visit } from '../visit.ts'
import type { Change } from './live.ts'
import type { SsePush } from './sse-push.ts'

/** The connection to one open page. */
export type Listener = {
  push: SsePush
  /** Repeats `work` until the connection ends. */
  every: (ms: number, work: () => void) => void
}

/** Turns changes of jobs into updates of an open page of one kind. */
export type LiveView = {
  /** `view` in the address of the page's stream. */
  name: string
  /** Starts for one page. The function that it returns is called with every change. */
  start: (visit: Visit, params: URLSearchParams, listener: Listener) => (change: Change) => void
}

/** Tells the page that some job changed. */
export const anyJobView: LiveView = {
  name: 'any',
  start:
    (_visit, _params, { push }) =>
    () =>
      push.signal('jobs-changed'),
}

/** Tells the page when the job or subjob `id`, or a subjob of it, changed. */
export const oneJobView: LiveView = {
  name: 'job',
  start: (_visit, params, { push }) => {
    const id = params.get('id') ?? ''
    return ({ touched, reset }) => {
      if (reset || touched.has(id)) push.signal('job-changed')
    }
  },
}
