import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseKeepYears } from '../../src/archive/keep-years.ts'

const standard = [
  { site: null, kind: 'event', years: 10 },
  { site: null, kind: 'job', years: 15 },
  { site: null, kind: 'subjob', years: 15 },
]

describe('ARCHIVE_KEEP_YEARS', () => {
  test('keeps events for 10 years and jobs for 15, and by the site what is said of one', () => {
    assert.deepEqual(parseKeepYears(''), standard)
    assert.deepEqual(parseKeepYears('event=10,job=15,subjob=15'), standard)
    const given = parseKeepYears(' job=20 , fab-1.a:event=7, fab2:job=forever')
    assert.deepEqual(given, [
      { site: null, kind: 'job', years: 20 },
      { site: 'fab-1.a', kind: 'event', years: 7 },
      { site: 'fab2', kind: 'job', years: null },
      { site: null, kind: 'event', years: 10 },
      { site: null, kind: 'subjob', years: 15 },
    ])
  })

  const wrong: [string, RegExp][] = [
    ['event=0', /^event=0: must be 1 to 1000 years, or forever$/],
    ['event=1001', /^event=1001: must be 1 to 1000/],
    [
      'event=-1',
      /^entry 1 is not event, job or subjob = a whole number of years or forever; write event=10,/,
    ],
    ['event=2.5', /is not event, job or subjob/],
    ['events=10', /^entry 1 is not event, job or subjob/],
    ['10', /is not event, job or subjob/],
    ['fab 1:event=7', /^the site of entry 1 must be .*; write/],
    ['..:event=7', /^the site of entry 1 must be /],
    ['event=10,event=5', /^event=5: event is there twice; remove one$/],
    ['a:job=9,a:job=9', /^a:job=9: job is there twice for a; remove one$/],
  ]
  for (const [text, message] of wrong) {
    test(`refuses ${text}`, () => assert.match(String(parseKeepYears(text)), message))
  }
})
