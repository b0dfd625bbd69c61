import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JobFilter } from '../../src/core/job.ts'
import { appsQuestion } from '../../src/core/questions/apps.ts'
import { limitToSite } from '../../src/dashboard/model/one-site.ts'
import { remoteReader } from '../../src/sites/remote-reader.ts'
import { emptyWorld } from '../support/array-reader.ts'
import { startFakeApi } from '../support/fake-api.ts'
import { aJob, idOf } from '../support/sample-jobs.ts'
import { startWebFor } from '../support/web.ts'

const { signal } = new AbortController()
const noon = '2026-03-01T12:00:00.000000Z'

/** A local API whose store has jobs of two sites. */
async function twoSites(t: Parameters<typeof startFakeApi>[0]) {
  const world = emptyWorld(() => noon)
  world.jobs = ['fab1', 'fab3'].map((siteId) =>
    aJob({
      id: idOf(siteId),
      siteId,
      jobKey: `LOT OF ${siteId}`,
      status: 'running',
      endedAt: null,
    }),
  )
  return startFakeApi(t, world)
}

test('an API limited to a site answers nothing about another', async (t) => {
  const { url } = await twoSites(t)
  const backend = limitToSite(remoteReader({ baseUrl: url, timeoutMs: 5000 }), 'fab3')
  const filter: JobFilter = { time: 'active', order: 'desc', limit: 9 }
  const keys = (await backend.findJobs(filter, signal)).items.map(({ jobKey }) => jobKey)
  assert.deepEqual(keys, ['LOT OF fab3'])
  assert.equal(await backend.getJob(idOf('fab1'), signal), undefined)
  assert.equal((await backend.getJob(idOf('fab3'), signal))?.job.siteId, 'fab3')
  assert.equal((await backend.getJobs([idOf('fab1'), idOf('fab3')], signal)).length, 1)
  const apps = await backend.ask(appsQuestion, {}, signal)
  assert.deepEqual(new Set(apps.map(({ siteId }) => siteId)), new Set(['fab3']))
  const file = await new Response(await backend.exportJobs(filter, 'csv', signal)).text()
  assert.ok(file.includes('LOT OF fab3') && !file.includes('LOT OF fab1'))
})

test('a dashboard titled fab3 shows fab3 only', async (t) => {
  const { url: api } = await twoSites(t)
  const { url } = await startWebFor(t, api, { DEFAULT_SITE: 'fab3', ALLOW_ANONYMOUS: 'read' })
  for (const path of ['/jobs', '/jobs.csv', '/']) {
    const text = await (await fetch(url + path)).text()
    assert.ok(text.includes('LOT OF fab3'), path)
    assert.ok(!text.includes('LOT OF fab1'), path)
  }
  assert.equal((await fetch(`${url}/jobs/${idOf('fab1')}`)).status, 404)
})
