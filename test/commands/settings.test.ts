import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { makeToken } from '../../src/tools/token.ts'
import { freePort, freshFolder } from '../support/processes.ts'
import { wafermon } from '../support/run.ts'

/* Every command reads its settings the same way: a flag, else the environment, else the file. */

/** A command that reads a setting, and says in its answer which value it has read. */
type Reader = {
  setting: string
  args: readonly string[]
  flag: string
  /** A value that the answer of the command can be told by. */
  makeValue: (name: string) => string | Promise<string>
  /** The answer names the value. */
  names: (value: string) => string
}

const itself = (value: string) => value
const folder = (name: string) => join(freshFolder(), name)

/** The address of a server that is not there: the error names it. */
const nowhere = async (protocol: string, path = '') =>
  `${protocol}://127.0.0.1:${await freePort()}${path}`

function tokensFile(name: string): string {
  const file = folder(name)
  makeToken(file, ['read'], `tokens of ${name}`)
  return file
}

const sidecar = { setting: 'SIDECAR_URL', flag: '--url', names: itself }
const makeValue = () => nowhere('http')
const readers: Reader[] = [
  {
    setting: 'DATABASE_URL',
    args: ['migrate'],
    flag: '--database-url',
    makeValue: (name) => nowhere('postgres', `/${name}`),
    names: (url) => `names the database ${new URL(url).pathname.slice(1)} at `,
  },
  ...['ls', 'verify'].map((command) => ({
    setting: 'ARCHIVE_DIR',
    args: ['archive', command],
    flag: '--dir',
    makeValue: folder,
    names: (dir: string) => `there is no folder ${dir};`,
  })),
  {
    setting: 'TOKENS_FILE',
    args: ['token', 'list'],
    flag: '--file',
    makeValue: tokensFile,
    names: (file) => `tokens of ${file.split('/').at(-1)}`,
  },
  {
    setting: 'TOKENS_FILE',
    args: ['token', 'revoke', 'none'],
    flag: '--file',
    makeValue: tokensFile,
    names: (file) => `no token none in ${file};`,
  },
  {
    setting: 'TOKENS_FILE',
    args: ['token', 'new', '--scope', 'read'],
    flag: '--file',
    makeValue: (name) => join(folder(name), 'tokens'),
    names: (file) => `cannot write ${file} `,
  },
  { ...sidecar, args: ['spool', 'status'], makeValue },
  { ...sidecar, args: ['spool', 'rejects', 'list'], makeValue },
  { ...sidecar, args: ['spool', 'rejects', 'show', '1'], makeValue },
  { ...sidecar, args: ['spool', 'rejects', 'retry', '1'], makeValue },
  { ...sidecar, args: ['spool', 'rejects', 'export'], makeValue },
  { ...sidecar, args: ['simulate', '--duration', '0.001'], makeValue },
]

function configFile(settings: Record<string, string>): string {
  const file = join(freshFolder(), 'wafermon.yaml')
  writeFileSync(file, JSON.stringify(settings))
  return file
}

for (const { setting, args, flag, makeValue, names } of readers) {
  describe(`wafermon ${args.join(' ')}`, () => {
    /** Runs it, and tells whose value it has read. */
    async function readsFrom(given: ('flag' | 'env' | 'file' | 'variable')[]): Promise<string[]> {
      const values = { flag: '', env: '', file: '', variable: '' }
      for (const name of given) values[name] = await makeValue(name)
      const config = given.includes('file') ? configFile({ [setting]: values.file }) : ''
      const byVariable = given.includes('variable')
        ? configFile({ [setting]: values.variable })
        : ''
      const { out, err } = await wafermon(
        [
          ...args,
          ...(values.flag ? [flag, values.flag] : []),
          ...(config ? ['--config', config] : []),
        ],
        { WAFERMON_CONFIG: byVariable, [setting]: values.env },
      )
      const found = given.filter((name) => (out + err).includes(names(values[name])))
      assert.equal(found.length, 1, out + err)
      return found
    }

    test(`takes ${setting} from the file of --config`, async () => {
      assert.deepEqual(await readsFrom(['file']), ['file'])
    })

    test(`takes ${setting} from the file of WAFERMON_CONFIG`, async () => {
      assert.deepEqual(await readsFrom(['variable']), ['variable'])
    })

    test(`prefers the flag to the environment, and the environment to the file`, async () => {
      assert.deepEqual(await readsFrom(['flag', 'env', 'file']), ['flag'])
      assert.deepEqual(await readsFrom(['env', 'file', 'variable']), ['env'])
    })
  })
}

describe('wafermon replay', () => {
  test('takes SIDECAR_URL and SIDECAR_TOKEN from the file of --config', async (t) => {
    const shown: unknown[] = []
    const server = createServer((request, response) => {
      shown.push(request.headers.authorization)
      response.writeHead(404).end()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    const SIDECAR_URL = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const records = join(freshFolder(), 'records.ndjson')
    const record = { trace: 't', job_id: '1', name: 'L1', app: 'a', status: 'running', start_ts: 1 }
    writeFileSync(records, JSON.stringify(record))
    const file = configFile({ SIDECAR_URL, SIDECAR_TOKEN: 'wfm_x' })
    const { code } = await wafermon(['replay', records, '--config', file])
    assert.equal(code, 1)
    assert.deepEqual(shown, ['Bearer wfm_x'])
  })
})

describe('a configuration file', () => {
  test('that is wrong is refused by a tool as by a role', async () => {
    const cases: [string, string][] = [
      [configFile({ SIDECAR_ULR: 'x' }), 'SIDECAR_ULR: is not a setting'],
      [configFile({ SIDECAR_URL: 'x' }), 'SIDECAR_URL: must be a URL such as http://'],
      ['/nowhere.yaml', '--config: cannot read /nowhere.yaml'],
      ['', '--config: must name a file; omit it for WAFERMON_CONFIG'],
    ]
    for (const [file, problem] of cases) {
      const { code, err } = await wafermon(['spool', 'status', '--config', file])
      assert.equal(code, 2)
      assert.ok(
        err.startsWith(`wafermon spool: the configuration has a problem\n  ${problem}`),
        err,
      )
    }
  })

  test('may hold settings of tools and roles together', async () => {
    const SIDECAR_URL = await nowhere('http')
    const file = configFile({ SIDECAR_URL, SPOOL_DIR: '/x', PORT: 'wrong' })
    const { code, err } = await wafermon(['spool', 'status', '--config', file])
    assert.equal(code, 1)
    assert.match(err, /cannot be reached/)
  })
})
