import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { factNames } from '../../src/core/facts.ts'
import type { Attempt, Job, JobFilter } from '../../src/core/job.ts'
import { must } from '../../src/core/must.ts'
import { aDashboard } from '../support/dashboard.ts'
import { addRecord } from '../support/record-jobs.ts'
import { aJob, idOf } from '../support/sample-jobs.ts'

/* What real jobs carry: attempts, queues, how they ended. */

const noon = '2026-03-01T12:00:00.000000Z'

/** The text of a part of a page, a space where an element begins or ends. */
const textOf = (html: string) =>
  html
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/[\s\u00a0]+/g, ' ')
    .trim()

/** The panel with this title, as text; undefined where there is none. */
function panelIn(html: string, title: string): string | undefined {
  const [, panel] =
    new RegExp(`<section [^>]*aria-label="${title}"[^>]*>(.*?)</section>`, 's').exec(
      html.replaceAll(/<section class="scroll".*?<\/section>/gs, (box) =>
        box.replaceAll(/<\/?section[^>]*>/g, ''),
      ),
    ) ?? []
  return panel === undefined ? undefined : textOf(panel)
}

/** The facts of a job page by name. */
const factsIn = (html: string) =>
  new Map(
    [...html.matchAll(/<dt>(.*?)<\/dt><dd>(.*?)<\/dd>/gs)].map(([, name = '', value = '']) => [
      textOf(name),
      textOf(value),
    ]),
  )

describe('the page of a job', () => {
  test('lists its attempts, newest first, and says where one reported no end', async (t) => {
    const { world, get } = aDashboard(t)
    const { tried, closed } = addRecord(world, noon)
    const { html } = await get(`/jobs/${tried.id}`)
    const attempts = panelIn(html, 'Attempts') ?? ''
    assert.match(attempts, /^Attempts all 3, newest first/)
    assert.match(attempts, /attempt 3 failed 10:00 .* 137 exit code 137 attempt 2 unknown/)
    assert.match(attempts, /attempt 2 unknown 09:40:00 no end reported/)
    assert.match(attempts, /no license at try 1$/)
    assert.equal(factsIn(html).get('Attempt'), '3; 2 failed')
    assert.match(textOf(html), /TRIED failed attempt 3/)
    // A job that was tried once says nothing of attempts.
    assert.equal(panelIn((await get(`/jobs/${closed.id}`)).html, 'Attempts'), undefined)
  })

  test('says how many attempts there were beside those that are kept', async (t) => {
    const { world, get } = aDashboard(t)
    const job = aJob({ id: idOf('forty'), attempt: 40, failedAttempts: 15 })
    world.jobs = [job]
    const one: Attempt = {
      ...{ attempt: 40, status: 'failed', queuedAt: null, queueS: null, startedAt: noon },
      ...{ endedAt: noon, durationS: 1, exitCode: null, lastError: null },
    }
    world.attempts = new Map([
      [job.id, Array.from({ length: 16 }, (_, i) => ({ ...one, attempt: 40 - i }))],
    ])
    const { html } = await get(`/jobs/${job.id}`)
    assert.match(panelIn(html, 'Attempts') ?? '', /the newest 16 of 40 attempts/)
    assert.equal(factsIn(html).get('Attempt'), '40; 15 failed of the newest 16')
  })

  test('counts failures among the attempts that reported, where of others nothing is known', async (t) => {
    const { world, get } = aDashboard(t)
    const { tried } = addRecord(world, noon)
    world.jobs = [{ ...tried, attempt: 40 }]
    assert.equal(
      factsIn((await get(`/jobs/${tried.id}`)).html).get('Attempt'),
      '40; 2 failed of the 3 that reported',
    )
  })

  test('does not call attempts none where a site of an earlier version tells of none', async (t) => {
    const { world, get } = aDashboard(t)
    const { tried } = addRecord(world, noon)
    world.attempts = new Map([[tried.id, []]])
    const { html } = await get(`/jobs/${tried.id}`)
    assert.match(panelIn(html, 'Attempts') ?? '', /does not tell them apart/)
    assert.equal(factsIn(html).get('Attempt'), '3')
  })

  test('says how long a job waits and why, and invents no start', async (t) => {
    const { world, get } = aDashboard(t)
    const { waiting } = addRecord(world, noon)
    const { html } = await get(`/jobs/${waiting.id}`)
    assert.match(textOf(html), /WAITING queued waiting because no node with 4 GPUs is free/)
    const facts = factsIn(html)
    assert.equal(facts.get('Waiting'), '12:00, because no node with 4 GPUs is free')
    assert.equal(facts.get('Queued'), '11:48:00 UTC')
    assert.equal(facts.get('Queue'), 'short')
    assert.equal(facts.has('Started'), false)
    assert.equal(facts.get('Last event'), '12:00 ago')
  })

  test('says of a job that waits again that it does, since when, and how long it had waited before', async (t) => {
    const { world, get, pass } = aDashboard(t)
    const job = aJob({
      ...{ id: idOf('held'), jobKey: 'HELD', status: 'queued', endedAt: null, durationS: null },
      ...{ queuedAt: '2026-03-01T11:00:00.000000Z', queueS: 600 },
      ...{ startedAt: '2026-03-01T11:10:00.000000Z', metadata: { reason: 'held' } },
      lastQueuedAt: '2026-03-01T11:30:00.000000Z',
    })
    world.jobs = [job]
    const facts = factsIn((await get(`/jobs/${job.id}`)).html)
    assert.equal(facts.get('Waited'), '10:00')
    assert.equal(facts.get('Waiting'), 'again, 30:00 since it was last queued, because held')
    assert.equal(facts.get('Started'), '11:10:00 UTC')
    // 10:00 would be taken for the time of this wait.
    const [held] = rowsIn((await get('/jobs')).html)
    assert.deepEqual(held?.slice(0, 4), ['queued', 'HELD', '11:10:00', 'again 30:00'])
    // A site of an earlier version does not say since when.
    world.jobs = [{ ...job, lastQueuedAt: null }]
    pass(10)
    const older = factsIn((await get(`/jobs/${job.id}`)).html)
    assert.equal(older.get('Waiting'), 'again, after its start, because held')
  })

  test('calls late what waits past its due time, on every page, and finds it by that', async (t) => {
    const { world, get } = aDashboard(t)
    const { waiting } = addRecord(world, noon)
    const due = { ...waiting, late: true, metadata: { due_at: '2026-03-01T11:55:00Z' } }
    world.jobs = [due, aJob({ id: idOf('runs'), jobKey: 'RUNS', status: 'running' })]
    const { html } = await get(`/jobs/${due.id}`)
    assert.match(textOf(html), /WAITING late still waiting/)
    for (const query of ['', '?flag=late', '?flag=late&status=queued', '?flag=lost&flag=late']) {
      const row = rowsIn((await get(`/jobs${query}`)).html).at(-1)
      assert.deepEqual(row?.slice(0, 4), ['late', 'WAITING', '', '12:00'], query)
    }
    assert.match(textOf((await get('/jobs?flag=late')).html), /1 open job late, whenever/)
    assert.equal((await get('/jobs?flag=lost&status=queued')).status, 422)
    const panel = panelIn((await get('/')).html, 'Stuck, lost, late') ?? ''
    assert.match(panel, /all 1: 1 late and still queued/)
    assert.match(panel, /late WAITING .* 12:00/)
  })

  test('says of a job that ended in no known way that it ended', async (t) => {
    const { world, get } = aDashboard(t)
    const { closed } = addRecord(world, noon)
    const { html } = await get(`/jobs/${closed.id}`)
    assert.match(textOf(html), /CLOSED unknown ended, outcome unknown/)
  })

  test('shows for how long each of its subjobs waited', async (t) => {
    const { world, get } = aDashboard(t)
    const lot = aJob({ id: idOf('lot'), jobKey: 'LOT', status: 'running', durationS: null })
    const wafer = (subKey: string, of: Partial<Job>) =>
      aJob({ ...{ id: idOf(subKey), parentId: lot.id, entityType: 'subjob', subKey }, ...of })
    const waiting = { status: 'queued', endedAt: null, durationS: null, queueS: null } as const
    world.jobs = [lot]
    world.subjobs = [
      wafer('W01', { status: 'succeeded', queuedAt: '2026-03-01T11:00:00.000000Z', queueS: 90 }),
      wafer('W02', { ...waiting, queuedAt: '2026-03-01T11:55:00.000000Z' }),
      wafer('W03', { ...waiting, status: 'unknown' }),
    ]
    const { html } = await get(`/jobs/${lot.id}`)
    const rows = new Map(rowsIn(html, 'sub').map((row) => [row[1], row]))
    assert.equal(rows.get('W01')?.[3], '1:30')
    assert.equal(rows.get('W02')?.[3], '5:00')
    assert.match(panelIn(html, 'Wafers') ?? '', /1 done, 1 queued, 1 of unknown outcome/)
    const found = textOf((await get('/jobs?q=W0')).html)
    assert.match(found, /Subjobs that match .* Queued for .* 5:00/)
  })

  test('says how it ended, how far it came, and what it wanted beside what it used', async (t) => {
    const { world, get } = aDashboard(t)
    const { tried } = addRecord(world, noon)
    const { html } = await get(`/jobs/${tried.id}`)
    const facts = factsIn(html)
    for (const [name, value] of [
      ['Exit code', '137'],
      ['Signal', 'SIGKILL'],
      ['Reason', 'OutOfMemory'],
      ['Host', 'node-17'],
      ['Queue', 'short'],
      ['Tool', 'SCN-05'],
      ['Priority', '70'],
      ['Waited', '10:00'],
      ['Progress', '13 of 25'],
      ['Metadata', 'cut: the program sent more than is kept'],
    ] as const) {
      assert.equal(facts.get(name), value, name)
    }
    const resources = panelIn(html, 'Resources') ?? ''
    assert.match(resources, /CPUs 4 1\.00 on average Memory 4,096 MiB 4,000 MiB at most/)
    // What no event reports is not called zero.
    assert.match(resources, /GPUs 1 not reported/)
  })

  test('links to what is safe to open, and shows the rest as it came', async (t) => {
    const { world, get } = aDashboard(t)
    const { tried } = addRecord(world, noon)
    const { html } = await get(`/jobs/${tried.id}`)
    assert.match(
      html,
      /<a href="https:\/\/logs\.fab1\.example\/137" rel="noopener noreferrer">log<\/a>/,
    )
    assert.doesNotMatch(html, /href="javascript/)
    assert.match(panelIn(html, 'Metadata') ?? '', /links .*javascript:alert\(1\)/)
    assert.match(panelIn(html, 'Metadata') ?? '', /^Metadata cut: /)
  })

  test('keeps values of other types among the metadata', async (t) => {
    const { world, get } = aDashboard(t)
    const metadata = {
      links: 'none',
      resources: { cpus: 'four', memory_mb: 1 },
      current: 3,
      total: 'ten',
      exit_code: { of: 'shell' },
    }
    const job = aJob({ id: idOf('odd'), status: 'failed', metadata })
    world.jobs = [job]
    const { html } = await get(`/jobs/${job.id}`)
    const shown = panelIn(html, 'Metadata') ?? ''
    for (const name of Object.keys(metadata)) assert.ok(shown.includes(name), name)
    assert.equal(factsIn(html).has('Progress'), false)
  })
})

/** A card of a page: its figure, where that leads, and the words below it. */
function cardIn(html: string, label: string) {
  const card = new RegExp(`<li class="card"><p class="lab">${label}.*?</li>`, 's').exec(html)?.[0]
  if (card === undefined) return undefined
  const [, value = ''] = /<p class="val">(.*?)<\/p>/s.exec(card) ?? []
  const [, note = ''] = /<p class="note">(.*?)<\/p>/s.exec(card) ?? []
  const [, href = ''] = /href="([^"]*)"/.exec(value) ?? []
  return { value: textOf(value), note: textOf(note), href: href.replaceAll('&amp;', '&') }
}

/** The rows of a list of jobs, or of subjobs, by key: the texts of their cells. */
const rowsIn = (html: string, of: 'job' | 'sub' = 'job') =>
  [...html.matchAll(new RegExp(`<tr id="${of}-[^>]*>(.*?)</tr>`, 'gs'))].map(([, row = '']) =>
    [...row.matchAll(/<t[dh][^>]*>(.*?)<\/t[dh]>/gs)].map(([, cell = '']) => textOf(cell)),
  )

test('a job says when it is due in the zone of its other times', async (t) => {
  const { world, get } = aDashboard(t)
  for (const [due, shown] of [
    ['2026-03-01T14:30:00+02:00', '12:30:00 UTC'],
    ['after lunch', 'after lunch'],
  ] as const) {
    const job = aJob({ id: idOf(due), metadata: { due_at: due } })
    world.jobs = [job]
    assert.equal(factsIn((await get(`/jobs/${job.id}`)).html).get('Due'), shown)
  }
})

describe('lists and counts', () => {
  test('show what waits, for how long and why, and which attempt runs', async (t) => {
    const { world, get } = aDashboard(t)
    addRecord(world, noon)
    const { html } = await get('/jobs')
    const [waiting, tried, closed] = rowsIn(html)
    assert.deepEqual(waiting?.slice(0, 4), ['queued', 'WAITING', '', '12:00'])
    assert.equal(waiting?.at(-1), 'waits: no node with 4 GPUs is free')
    assert.deepEqual(tried?.slice(0, 4), ['failed', 'TRIED attempt 3', '11:20:00', '10:00'])
    assert.deepEqual(closed?.slice(0, 4), ['unknown', 'CLOSED', '11:00:00', ''])
    assert.match(textOf((await get('/')).html), /TRIED attempt 3/)
  })

  test('count what waits on a card only where there are queues', async (t) => {
    const { world, get, pass } = aDashboard(t)
    world.jobs = [aJob({ startedAt: '2026-03-01T11:50:00.000000Z' })]
    for (const path of ['/', '/jobs']) {
      assert.equal(cardIn((await get(path)).html, 'Waiting'), undefined)
    }
    addRecord(world, noon)
    pass(10)
    for (const path of ['/', '/jobs', '/jobs?status=failed']) {
      const { value, href } = cardIn((await get(path)).html, 'Waiting') ?? {}
      assert.equal(value, '1')
      assert.deepEqual(
        rowsIn((await get(href ?? '')).html).map(([, key]) => key),
        ['WAITING'],
      )
    }
    // Nothing waits, and there are queues.
    world.jobs = world.jobs.filter(({ status }) => status !== 'queued')
    pass(10)
    assert.equal(cardIn((await get('/')).html, 'Waiting')?.value, '0')
  })

  test('count what ended in no known way as neither success nor failure', async (t) => {
    const { world, get } = aDashboard(t)
    addRecord(world, noon)
    const { html } = await get('/?w=6h')
    const unknown = cardIn(html, 'Ended, outcome unknown')
    assert.equal(unknown?.value, '1')
    assert.equal(cardIn(html, 'Succeeded')?.value, '0')
    assert.equal(cardIn(html, 'Failed')?.value, '1')
    assert.deepEqual(
      rowsIn((await get(unknown?.href ?? '')).html).map(([, key]) => key),
      ['CLOSED'],
    )
    // Two ended, and of one that is known how.
    assert.match(panelIn(html, 'By app') ?? '', /litho-apc 2 1 100\.0 % 1/)
  })

  test('compare no failures with ends of which it is not known how', async (t) => {
    const { world, get } = aDashboard(t)
    const many = (n: number, of: Partial<Job>) =>
      Array.from({ length: n }, (_, i) =>
        aJob({
          id: idOf(`${JSON.stringify(of)} ${i}`),
          startedAt: '2026-03-01T11:50:00.000000Z',
          ...of,
        }),
      )
    world.jobs = [
      ...many(9, { appName: 'apc', status: 'failed' }),
      ...many(9, { appName: 'apc', status: 'unknown' }),
      ...many(200, { appName: 'merge' }),
    ]
    const { html } = await get('/?w=1h')
    const causes = panelIn(html, 'What failures have in common') ?? ''
    assert.match(causes, /9 failed of 209 jobs that ended in a known way/)
    assert.match(causes, /app apc .* 9 of 9 100\.0 %/)
    assert.match(panelIn(html, 'By app') ?? '', /apc 18 9 100\.0 % 9/)
  })

  test('lead from the running to all that run, and say that the lost are among them', async (t) => {
    const { world, get, pass } = aDashboard(t)
    const running = (key: string, lost: boolean) =>
      aJob({ id: idOf(key), jobKey: key, status: 'running', lost })
    world.jobs = [running('A', false), running('B', false)]
    const quiet = cardIn((await get('/')).html, 'Running')
    assert.deepEqual([quiet?.value, quiet?.note], ['2', 'now'])
    assert.equal(rowsIn((await get(quiet?.href ?? '')).html).length, 2)
    world.jobs.push(running('C', true))
    pass(10)
    const { value, note, href } = cardIn((await get('/')).html, 'Running') ?? {}
    assert.deepEqual([value, note], ['2', 'now; the list has the 1 lost too'])
    assert.equal(rowsIn((await get(href ?? '')).html).length, 3)
  })
})

describe('filters', () => {
  test('of pages and exports have every fact that the API filters by', async (t) => {
    const dashboard = aDashboard(t)
    const { world, get } = dashboard
    addRecord(world, noon)
    const facts = Object.fromEntries(factNames.map((name, i) => [name, `value ${i}`]))
    world.jobs.push(aJob({ id: idOf('facts'), jobKey: 'FACTS', metadata: facts }))
    let exported: JobFilter | undefined
    dashboard.asked = (name, filter) => {
      if (name === 'exportJobs') exported = filter as JobFilter
    }
    for (const [name, value, key] of [
      ...factNames.map((fact) => [fact, facts[fact], 'FACTS']),
      ['exit_code', '137', 'TRIED'],
      ['priority', '70', 'TRIED'],
      ['min_attempts', '2', 'TRIED'],
      ['status', 'queued', 'WAITING'],
      ['status', 'unknown', 'CLOSED'],
    ] as [string, string, string][]) {
      const query = new URLSearchParams({ [name]: value })
      const { html } = await get(`/jobs?${query}`)
      assert.deepEqual(
        rowsIn(html).map(([, shown]) => shown?.split(' ')[0]),
        [key],
        `${name}=${value}`,
      )
      assert.match(html, new RegExp(`name="${name}"`), `${name} is in the form`)
      await get(`/jobs.csv?${query}`)
      const { facts: given, minAttempts, status } = must(exported, 'the file was asked for')
      assert.deepEqual(
        { ...given, ...(minAttempts && { min_attempts: minAttempts }), ...(status && { status }) },
        { [name]: name === 'status' ? [value] : name === 'min_attempts' ? 2 : value },
      )
    }
  })

  test('refuse a number of attempts that is none', async (t) => {
    const { get } = aDashboard(t)
    for (const wrong of ['0', 'two', '1.5', '-1', '1000001']) {
      const { status, html } = await get(`/jobs?min_attempts=${wrong}`)
      assert.equal(status, 422, wrong)
      assert.match(html, /min_attempts: must be a whole number from 1 to 1000000/)
    }
  })

  test('follow from what failures have in common, exactly where a fact has the value', async (t) => {
    const { world, get } = aDashboard(t)
    const many = (n: number, of: Partial<Job>) =>
      Array.from({ length: n }, (_, i) =>
        aJob({
          id: idOf(`${JSON.stringify(of)} ${i}`),
          startedAt: '2026-03-01T11:50:00.000000Z',
          ...of,
        }),
      )
    const metadata = { exit_code: '137', queue: 'short', priority: '70', error_type: 'Killed' }
    world.jobs = [
      ...many(9, { status: 'failed', lastError: 'exit code 137', metadata }),
      ...many(200, { metadata: { exit_code: '0', queue: 'long', priority: '1' } }),
      ...many(2, { metadata: { queue: 'short' } }),
    ]
    const { html } = await get('/?w=1h')
    const links = [...html.matchAll(/<small>([\w ]+)<\/small> <a href="([^"]*)">/g)]
    const found = new Map(links.map(([, name, href = '']) => [name, href.replaceAll('&amp;', '&')]))
    assert.deepEqual([...found.keys()].sort(), ['error type', 'exit code', 'priority', 'queue'])
    for (const [name, href] of found) {
      assert.doesNotMatch(href, /[?&]q=/, name)
      assert.equal(rowsIn((await get(href)).html).length, 9, href)
    }
  })
})
