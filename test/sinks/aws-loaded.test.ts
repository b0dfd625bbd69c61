import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { freePort, freshFolder, startRole } from '../support/processes.ts'

/* The clients of AWS cost a tenth of a second and 30 MB: a sidecar without sinks of AWS does without them. */

const loaded: string[] = []
registerHooks({
  load(url, context, next) {
    loaded.push(url)
    return next(url, context)
  },
})
const clients = () => loaded.filter((url) => /\/@aws-sdk\/client-/.test(url))

describe('the clients of AWS', () => {
  test('are loaded when a sink of theirs is opened, and not before', async (t) => {
    const { openSink } = await import('../../src/sinks/index.ts')
    const { readEntries } = await import('../../src/sinks/read-entries.ts')
    const aws = { type: 'aws_cloudwatch', name: 'aws', config: { aws_region: 'eu-central-1' } }
    const others = [
      { type: 'local_api', name: 'a', config: { base_url: 'http://127.0.0.1:1' } },
      { type: 'csv', name: 'b', config: { output_dir: freshFolder() } },
      { type: 'webhook', name: 'c', config: { webhook_url: 'http://127.0.0.1:1' } },
      { type: 'elk', name: 'd', config: { elasticsearch_url: 'http://127.0.0.1:1' } },
      { type: 'otlp', name: 'e', config: { endpoint: 'http://127.0.0.1:1' } },
    ]
    const log = pino({ level: 'silent' })
    assert.deepEqual(readEntries([...others, aws], {}).problems, [])
    for (const entry of others) {
      const sink = await openSink(entry, { log })
      t.after(() => sink.close?.())
    }
    assert.deepEqual(clients(), [])
    const sink = await openSink(aws, { log })
    t.after(() => sink.close?.())
    assert.ok(clients().length > 0)
  })

  /** A word in the code of the client of CloudWatch Logs. */
  const mark = 'Logs_20140328'

  async function loadedBy(t: Parameters<typeof startRole>[0], list: object[]): Promise<string[]> {
    const folder = freshFolder()
    const [hook, told] = [join(folder, 'hook.mjs'), join(folder, 'loaded')]
    writeFileSync(told, '')
    writeFileSync(
      hook,
      `import { registerHooks } from 'node:module'
      import { appendFileSync } from 'node:fs'
      registerHooks({ load(url, context, next) { appendFileSync(${JSON.stringify(told)}, url + '\\n'); return next(url, context) } })`,
    )
    await startRole(t, 'sidecar', {
      SPOOL_DIR: join(folder, 'spool'),
      NODE_OPTIONS: `--import ${hook}`,
      INTEGRATIONS_CONFIG: JSON.stringify(list),
    })
    const files = readFileSync(told, 'utf8').split('\n')
    return files.filter((url) => url.startsWith('file:')).map((url) => fileURLToPath(url))
  }

  const hasClients = (file: string) => readFileSync(file, 'utf8').includes(mark)

  test('are not loaded by a sidecar without sinks of theirs', async (t) => {
    const away = `http://127.0.0.1:${await freePort()}`
    const api = { type: 'local_api', name: 'api', config: { base_url: away } }
    const files = await loadedBy(t, [api])
    assert.ok(files.some((file) => file.includes('/chunks/')))
    assert.deepEqual(files.filter(hasClients), [])
    const aws = {
      ...{ type: 'aws_cloudwatch', name: 'aws' },
      config: { aws_region: 'eu-central-1', endpoint: away },
    }
    assert.equal((await loadedBy(t, [api, aws])).filter(hasClients).length, 1)
  })
})
