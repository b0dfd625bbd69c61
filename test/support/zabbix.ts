import { execFile } from 'node:child_process'
import { chmodSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freshFolder, until } from './processes.ts'

/* A real Zabbix 6.0 with its API (zabbix.sh), and a host that has the template of deploy/zabbix. */

const script = fileURLToPath(new URL('./zabbix.sh', import.meta.url))
const template = new URL('../../deploy/zabbix/wafermon.yaml', import.meta.url)
const web = join(process.env.WAFERMON_CI_CACHE ?? '/var/cache/wafermon-ci', 'zabbix-web')
const isThere = process.getuid?.() === 0 && [web, '/usr/sbin/zabbix_server'].every(existsSync)

/** Pass to `describe` or `test`: says why a test of the real Zabbix did not run. */
export const needsZabbix = {
  skip: isThere ? false : 'Zabbix is not installed: as root, test/support/zabbix.sh install',
}

const execute = promisify(execFile)

/** A value as it is in the database of Zabbix, with the key of its item. */
export type Stored = { key: string; clock: number; ns: number; value: number }

export type Zabbix = {
  /** host:port of the trapper. */
  address: string
  /** Name of the host that has the template. */
  host: string
  api(method: string, params: object): Promise<unknown>
  /** All values that are in the database. */
  stored(): Promise<Stored[]>
  /** kill -9 of all its processes. */
  kill(): Promise<unknown>
  serve(): Promise<unknown>
}

/** @param after is given what stops it */
export async function startZabbix(after: (stop: () => Promise<unknown>) => void): Promise<Zabbix> {
  const folder = freshFolder()
  // It runs as another user, who has to get to its files.
  chmodSync(folder, 0o711)
  const dir = join(folder, 'zabbix')
  const call = (command: string) => execute(script, [command, dir])
  after(() => call('stop'))
  const { stdout } = await call('start')
  const [trapper, database, web] = stdout.trim().split(' ')
  const api = await signIn(`http://127.0.0.1:${web}/api_jsonrpc.php`)
  const host = 'wafermon'
  await addHost(api, host)
  return {
    ...{ address: `127.0.0.1:${trapper}`, host, api },
    stored: () => readStored(Number(database)),
    kill: () => call('kill'),
    serve: () => call('serve'),
  }
}

/** @returns a call of its API, as the user that it comes with */
async function signIn(url: string): Promise<Zabbix['api']> {
  let auth: unknown
  const call = async (method: string, params: object) => {
    const body = { jsonrpc: '2.0', id: 1, method, params, ...(auth ? { auth } : {}) }
    const headers = { 'content-type': 'application/json-rpc' }
    const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
    const { result, error } = (await answer.json()) as { result?: unknown; error?: object }
    if (error) throw new Error(`${method}: ${JSON.stringify(error)}`)
    return result
  }
  await until('the API of Zabbix', () =>
    call('apiinfo.version', {}).then(
      () => true,
      () => false,
    ),
  )
  auth = await call('user.login', { username: 'Admin', password: 'zabbix' })
  return call
}

async function addHost(api: Zabbix['api'], host: string): Promise<void> {
  const all = { createMissing: true, updateExisting: true }
  const rules = { groups: { createMissing: true }, templates: all, discoveryRules: all }
  const source = readFileSync(template, 'utf8')
  await api('configuration.import', { format: 'yaml', rules, source })
  const templates = await api('template.get', { output: ['templateid'] })
  const groups = (await api('hostgroup.get', { output: ['groupid'] })) as object[]
  await api('host.create', { host, groups: groups.slice(0, 1), templates })
}

async function readStored(port: number): Promise<Stored[]> {
  const sql = `select json_agg(json_build_object('key', key_, 'clock', clock, 'ns', ns, 'value', h.value))
    from history h join items using (itemid)`
  const where = ['-h', '127.0.0.1', '-p', `${port}`, '-U', 'zabbix', '-d', 'postgres']
  const { stdout } = await execute('psql', ['-qAt', ...where, '-c', sql], { maxBuffer: 2 ** 28 })
  return JSON.parse(stdout.trim() || '[]')
}
