import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'

/* The files of deploy/s3, without a store; test/faults/archive-s3-rights.test.ts tries them. */

const folder = new URL('../../deploy/s3/', import.meta.url)
const files = readdirSync(folder)
const parse = (name: string) => JSON.parse(readFileSync(new URL(name, folder), 'utf8'))

type Statement = { Effect: string; Action: string | string[]; Resource: string | string[] }

describe('the policies of deploy/s3', () => {
  for (const name of files.filter((file) => file.startsWith('policy-'))) {
    test(`${name} names each right, and nothing outside of the archive`, () => {
      const { Version, Statement } = parse(name) as { Version: string; Statement: Statement[] }
      assert.equal(Version, '2012-10-17')
      for (const { Effect, Action, Resource } of Statement) {
        assert.equal(Effect, 'Allow')
        for (const action of [Action].flat()) assert.match(action, /^s3:[A-Za-z]+$/)
        for (const resource of [Resource].flat()) {
          assert.match(resource, /^arn:aws:s3:::BUCKET(\/PREFIX\/([_a-z]+\/)?\*)?$/)
        }
      }
    })
  }

  test('lifecycle.json expires what is staged, and of the archive noncurrent versions alone', () => {
    for (const { Filter, Status, Expiration } of parse('lifecycle.json').Rules) {
      assert.equal(Status, 'Enabled')
      assert.match(Filter.Prefix, /^PREFIX\//)
      assert.equal(Expiration !== undefined, Filter.Prefix === 'PREFIX/_tmp/')
    }
  })

  test('are all in the documentation', () => {
    const docs = readFileSync(new URL('../../docs/archive-s3.md', import.meta.url), 'utf8')
    for (const name of files) assert.ok(docs.includes(`(../deploy/s3/${name})`), name)
  })
})
