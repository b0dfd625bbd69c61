import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { freePort } from '../support/processes.ts'
import { wafermon } from '../support/run.ts'

/** Every command, with its path. */
async function everyCommand(path: string[] = []): Promise<string[][]> {
  const { out } = await wafermon([...path, '--help'])
  const listed = /\nCommands:\n([\s\S]*)$/.exec(out)?.[1] ?? ''
  const names = [...listed.matchAll(/^ {2}([a-z-]+)/gm)].map(([, name]) => name!)
  const below = await Promise.all(
    names.filter((name) => name !== 'help').map((name) => everyCommand([...path, name])),
  )
  return [path, ...below.flat()]
}

describe('the command line', () => {
  test('helps with every command, and ends with 2 where a flag is none', async () => {
    const commands = await everyCommand()
    assert.ok(commands.some((path) => path.join(' ') === 'spool rejects retry'))
    for (const path of commands) {
      const help = await wafermon([...path, '--help'])
      const name = ['wafermon', ...path].join(' ')
      assert.deepEqual([help.code, help.err], [0, ''], name)
      assert.ok(help.out.startsWith(`Usage: ${name}`), help.out)
      // A description, with which the list of commands of its parent goes.
      assert.match(help.out, /^Usage: .*\n\n\S.{15}/)
      const wrong = await wafermon([...path, '--no-such-flag'])
      assert.deepEqual([wrong.code, wrong.out], [2, ''], name)
      assert.match(wrong.err, /^error: (unknown option '--no-such-flag'|required option '--\w+ )/)
      assert.ok(wrong.err.includes(`(see ${name} --help)`), wrong.err)
    }
  })

  test('names a command that does not exist, and the one that may be meant', async () => {
    for (const path of [['sidecat'], ['spool', 'rejcts'], ['token', 'lst']]) {
      const { code, out, err } = await wafermon(path)
      assert.deepEqual([code, out], [2, ''])
      assert.match(err, /^error: unknown command '\w+'\n\(Did you mean .*\?\)\n/)
    }
    assert.equal((await wafermon([])).code, 2)
  })

  test('names a site that cannot be one', async () => {
    for (const command of [['up'], ['simulate'], ['replay', 'x']]) {
      const { code, err } = await wafermon([...command, '--site', 'fab 1'])
      assert.equal(code, 2)
      assert.match(err, /argument 'fab 1' is invalid\. It must be 1 to 64 letters, digits/)
    }
  })
})

describe('wafermon migrate', () => {
  test('says where it looked for a database that is away, without the password', async () => {
    const port = await freePort()
    const DATABASE_URL = `postgres://wafermon:hunter2@127.0.0.1:${port}/fab1`
    const { code, out, err } = await wafermon(['migrate'], { DATABASE_URL })
    assert.deepEqual([code, out], [1, ''])
    assert.match(err, /the database cannot be reached \(ECONNREFUSED\): is it running/)
    assert.ok(err.endsWith(`DATABASE_URL names the database fab1 at 127.0.0.1:${port}\n`), err)
    assert.doesNotMatch(err, /hunter2|\n\s+at /)
  })

  test('requires an address', async () => {
    const { code, err } = await wafermon(['migrate'])
    assert.equal(code, 2)
    assert.match(err, /\n {2}DATABASE_URL: .* \(not set\); set it, or give --database-url\n$/)
  })
})
