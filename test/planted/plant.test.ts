import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { bugs } from './bugs.ts'
import { plant } from './plant.ts'

const root = new URL('../../', import.meta.url)
const read = (file: string) => readFileSync(new URL(file, root), 'utf8')

describe('a planted bug', () => {
  for (const bug of bugs) {
    // Seen here in a moment; that its test notices takes `npm run test:planted`.
    test(`has the place that it is planted in: ${bug.name}`, () => {
      const text = read(bug.file)
      assert.notEqual(plant(bug, text), text)
      assert.equal(bugs.filter(({ name }) => name === bug.name).length, 1)
    })
  }

  test('replaces its text and leaves the rest alone, however it is laid out', () => {
    const bug = { ...bugs[0]!, find: 'if (a) b($1)', replace: '$& {}' }
    assert.equal(plant(bug, 'x\n  if (a)\n    b($1)\ny'), 'x\n  $& {}\ny')
  })

  test('is refused by name where its text is gone, or there twice', () => {
    const bug = { ...bugs[0]!, name: 'forgets', file: 'src/a.ts', find: 'keep()' }
    assert.throws(() => plant(bug, 'keep'), /cannot plant "forgets": .* is gone in src\/a.ts/)
    assert.throws(() => plant(bug, 'keep() keep()'), /"forgets": .* is there 2 times in src\/a.ts/)
  })
})
