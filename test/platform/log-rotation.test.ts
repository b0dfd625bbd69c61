import assert from 'node:assert/strict'
import { closeSync, existsSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { lastLines, rotate } from '../../src/platform/log-rotation.ts'
import { freshFolder } from '../support/processes.ts'

describe('rotate', () => {
  test('puts a large log aside while its writer continues', () => {
    const file = join(freshFolder(), 'a.log')
    const writer = openSync(file, 'a')
    writeSync(writer, 'before\n')
    rotate(file, 6)
    writeSync(writer, 'after\n')
    closeSync(writer)
    assert.equal(readFileSync(`${file}.1`, 'utf8'), 'before\n')
    assert.equal(readFileSync(file, 'utf8'), 'after\n')
  })

  test('leaves a small one, and one that is not there', () => {
    const file = join(freshFolder(), 'a.log')
    rotate(file, 6)
    writeFileSync(file, 'before')
    rotate(file, 6)
    assert.equal(existsSync(`${file}.1`), false)
  })
})

describe('lastLines', () => {
  test('gives what was written since, at most ten lines', () => {
    const file = join(freshFolder(), 'a.log')
    writeFileSync(file, 'old\n')
    writeFileSync(file, Array.from({ length: 20 }, (_, i) => `line ${i}\n`).join(''), { flag: 'a' })
    const lines = lastLines(file, 4).split('\n')
    assert.deepEqual([lines.length, lines[0], lines.at(-1)], [10, 'line 10', 'line 19'])
    assert.equal(lastLines(file, 4 + 150), '')
  })
})
