import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Job } from '../../src/core/job.ts'
import { Layout } from '../../views/layout.tsx'
import type { Page } from '../../views/page.ts'
import { JobBody, type JobView } from '../../views/pages/job.tsx'
import { JobRow } from '../../views/partials/jobs-table.tsx'
import { findWafers } from '../../views/partials/wafers.tsx'
import { safeLink, withQuery } from '../../views/urls.ts'
import { aJob, idOf } from '../support/sample-jobs.ts'

const now = '2026-03-01T12:05:00.000000Z'
const evil = `<script>alert(1)</script>"'&`
const escaped = '&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;'

const page: Page = {
  navigation: [{ name: 'Jobs', path: '/jobs' }],
  site: evil,
  siteQuery: undefined,
  sites: [],
  simulated: false,
  theme: undefined,
  signedIn: undefined,
  now,
  plant: { lastEventAt: null, silentSidecars: 0 },
  fresh: { state: 'loaded' },
  behind: new Map(),
  here: '/jobs',
  assets: { css: '/c', icon: '/i', htmx: '/h', live: '/l', script: '/p' },
  version: '0.1.0',
}

const draw = (view: JobView) =>
  String(
    <Layout page={page} title={evil} live>
      <JobBody page={page} view={view} />
    </Layout>,
  )

const jobPage = (job: Job, subjobs: Job[] = []) =>
  draw({
    job,
    closes: false,
    notices: [],
    counts: {
      total: subjobs.length,
      queued: 0,
      running: 0,
      succeeded: 0,
      failed: 0,
      canceled: 0,
      unknown: 0,
    },
    parent: undefined,
    attempts: [],
    query: {},
    subjobs: { rows: subjobs, read: subjobs, isAll: true, older: undefined },
    events: {
      isFirst: true,
      completeness: undefined,
      older: undefined,
      errors: [],
      errorsWhole: true,
      items: [
        {
          event: { kind: evil, at: now, metadata: { [evil]: evil }, metrics: { [evil]: 1 } },
          source: { id: evil, seq: 1 },
          received_at: now,
        },
      ],
    },
  })

const evilJob = (changes: Partial<Job> = {}) =>
  aJob({
    jobKey: evil,
    appName: evil,
    appVersion: evil,
    siteId: evil,
    lastError: evil,
    errorCount: 1,
    metrics: { [evil]: 1 },
    metadata: {
      tool: evil,
      recipe: evil,
      chamber: evil,
      [evil]: evil,
      deep: { [evil]: [evil] },
      stderr: evil,
    },
    ...changes,
  })

describe('a page', () => {
  test('shows everything that programs sent as text', () => {
    const html = jobPage(evilJob(), [
      evilJob({ id: idOf('sub'), entityType: 'subjob', subKey: evil, parentId: idOf('x') }),
    ])
    assert.ok(html.includes(escaped))
    assert.doesNotMatch(html, /<script>|alert\(1\)<\/script>/)
    const row = String(<JobRow job={evilJob()} now={now} site={evil} time="active" />)
    assert.doesNotMatch(row, /<script/)
  })

  test('has no inline code or style, and loads nothing from elsewhere', () => {
    const html = jobPage(evilJob())
    assert.doesNotMatch(html, /<style|style=|\son\w+=|hx-on|javascript:/)
    const loaded = [...html.matchAll(/<(?:script|link)[^>]*\s(?:src|href)="([^"]*)"/g)].map(
      ([, url]) => url,
    )
    assert.deepEqual(loaded.sort(), ['/c', '/h', '/i', '/l', '/p'])
    assert.doesNotMatch(html, /<script[^>]*>[^<]/)
  })

  test('makes links only of addresses that are safe to open', () => {
    const html = jobPage(
      aJob({
        metadata: {
          good: 'https://reports.fab1.example/a?b=1&c=2',
          bad: 'javascript:alert(1)',
          worse: ' JaVaScRiPt:alert(1)',
          data: 'data:text/html,<script>alert(1)</script>',
        },
      }),
    )
    assert.ok(html.includes('href="https://reports.fab1.example/a?b=1&amp;c=2"'))
    assert.doesNotMatch(html, /href="\s*(javascript|data):/i)
  })

  test('draws an event without any of its fields', () => {
    const html = draw({
      job: aJob(),
      closes: true,
      notices: [],
      counts: { total: 0, queued: 0, running: 0, succeeded: 0, failed: 0, canceled: 0, unknown: 0 },
      parent: undefined,
      attempts: [],
      query: {},
      subjobs: undefined,
      events: {
        items: [{}, { event: null }, { event: { at: 7, metrics: 'x', metadata: [1] } }],
        older: undefined,
        errors: [{}],
        errorsWhole: true,
        isFirst: true,
        completeness: undefined,
      },
    })
    assert.ok(html.includes('</html>'))
  })
})

describe('safeLink', () => {
  for (const bad of [
    'javascript:alert(1)',
    'JAVASCRIPT:x',
    'http:',
    'ftp://x/y',
    '//x/y',
    '/x',
    7,
    null,
    {},
  ]) {
    test(`refuses ${JSON.stringify(bad)}`, () => assert.equal(safeLink(bad), undefined))
  }
  test('takes http and https', () => {
    assert.equal(safeLink('http://a/b'), 'http://a/b')
    assert.equal(safeLink('HTTPS://a/b'), 'HTTPS://a/b')
  })
})

describe('withQuery', () => {
  test('leaves out empty values, repeats lists, escapes the rest', () => {
    assert.equal(
      withQuery('/jobs', { a: undefined, b: '', c: ['x', 'y'], d: 'a&b' }),
      '/jobs?c=x&c=y&d=a%26b',
    )
  })
})

describe('findWafers', () => {
  const sub = (subKey: string, startedAt = now) =>
    aJob({ id: idOf(subKey + startedAt), entityType: 'subjob', subKey, startedAt })

  test('recognizes the usual names of wafers, and orders them by number', () => {
    const wafers = findWafers(['W10', 'w2', 'wafer-03', 'slot 4', '05'].map((key) => sub(key)))
    assert.deepEqual(
      wafers?.map(({ number }) => number),
      [2, 3, 4, 5, 10],
    )
  })

  test('takes the latest of several runs of one wafer', () => {
    const late = sub('W01', '2026-03-01T12:06:00.000000Z')
    const wafers = findWafers([late, sub('W01'), sub('W02')])
    assert.equal(wafers?.[0]?.job, late)
  })

  test('finds no wafers among steps', () => {
    assert.equal(findWafers(['load', 'measure', 'unload'].map((key) => sub(key))), undefined)
    assert.equal(findWafers([sub('W01'), sub('load'), sub('align'), sub('unload')]), undefined)
  })
})
