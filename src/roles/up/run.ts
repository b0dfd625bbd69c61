import { join, resolve } from 'node:path'
import { Lifecycle } from '../../platform/lifecycle.ts'
import { LineWriter, openStandard } from '../../platform/line-writer.ts'
import { createLog } from '../../platform/log.ts'
import { tellReady } from '../../platform/parent.ts'
import { upLog } from './log.ts'
import type { UpReady } from './start.ts'

export type UpFlags = {
  dir: string
  site: string
  simulate: boolean
  sidecarPort: number
  localApiPort: number
  archiverPort: number
  centralPort: number
  webPort: number
  centralWebPort: number
}

/** Seconds for all roles to stop, one group after the other. */
const stopTimeoutS = 90

/** `wafermon up`: prints its addresses, and runs until it is asked to stop. */
export async function runUp(flags: UpFlags): Promise<void> {
  const dir = resolve(flags.dir)
  // Everything in the folder is for this user alone; the roles inherit it.
  process.umask(0o077)
  const { log, keepIn, say } = upLog()
  const life = new Lifecycle(log)
  life.stopOnSignal(stopTimeoutS)
  // Only once signals are handled: this loads much.
  const { startUp } = await import('./start.ts')
  const ports = {
    sidecar: flags.sidecarPort,
    'local-api': flags.localApiPort,
    archiver: flags.archiverPort,
    central: flags.centralPort,
    web: flags.webPort,
    'web-central': flags.centralWebPort,
  }
  const program = [...process.execArgv, process.argv[1] ?? '']
  const onSlow = (what: string, seconds: number) => {
    if (seconds === 1 || seconds % 5 === 0) say(`${what}, ${seconds} s\n`)
  }
  const { site, simulate } = flags
  await startOrExplain(life, async () => {
    const onOwned = () => keepIn(join(dir, 'logs/up.log'))
    const up = { dir, site, simulate, ports, program, env: process.env, onSlow, onOwned }
    const ready = await startUp(up, { log, life })
    new LineWriter(openStandard(1)).write(addressLines(ready))
    tellReady(ready.url)
  })
}

/** The process in which `up` runs its database: it ends with `up`, and stops the server first. */
export async function runEmbeddedPostgres({ dir }: { dir: string }): Promise<void> {
  const log = createLog({ service: 'embedded-postgres', level: 'debug', json: true })
  const life = new Lifecycle(log)
  life.stopOnSignal(40)
  const { startEmbeddedPostgres } = await import('./embedded-postgres.ts')
  await startOrExplain(life, async () => {
    const { url } = await startEmbeddedPostgres({ dir }, { log, life })
    tellReady(url)
  })
}

/** When a start fails, stops what was started and prints the reason. */
async function startOrExplain(life: Lifecycle, start: () => Promise<void>): Promise<void> {
  try {
    await start()
  } catch (error) {
    const asked = life.signal.aborted
    await life.stop(stopTimeoutS)
    // Stopped while it was starting: not a failure.
    if (asked) return
    if (!(error instanceof Error)) throw error
    process.stderr.write(`wafermon: ${error.message}\n`)
    process.exitCode = 1
  }
}

/** The links to the dashboards sign a browser in, once: see Sessions.invite. */
function addressLines({ url, dir, ports, tokens, simulated }: UpReady): string {
  const at = (port: number) => `http://127.0.0.1:${port}`
  const link = (base: string) => `${base}/sign-in?once=${tokens.invite()}`
  const lines = [
    ['dashboard', link(url)],
    ['all sites', link(at(ports['web-central']))],
    ['send events', `${at(ports.sidecar)}  (SIDECAR_URL)`],
    ['API', `${at(ports['local-api'])}/docs`],
    ['token', `${tokens.tokenFile}  (holds SIDECAR_TOKEN)`],
    ['data', `${dir}  (logs in ${join(dir, 'logs')})`],
    ...(simulated
      ? [
          [
            'jobs',
            'simulated; without them: wafermon up --no-simulate --dir FOLDER, with a new folder',
          ],
        ]
      : []),
    ['stop', 'Ctrl-C'],
  ]
  return lines.map(([what = '', where]) => `  ${what.padEnd(12)} ${where}\n`).join('')
}
