import { createHash } from 'node:crypto'
import type { Job, StoredEvent } from '../../src/core/job.ts'
import type { SinkState, Source } from '../../src/core/questions/sources.ts'
import { fromMs, type Micros, toMs } from '../../src/core/time.ts'
import type { World } from './array-reader.ts'

/** An id that is the same in every run. */
export function idOf(name: string): string {
  const hex = createHash('sha256').update(name).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** A job that went well, at noon, unless told otherwise. */
export function aJob(changes: Partial<Job> = {}): Job {
  const startedAt = changes.startedAt ?? '2026-03-01T12:00:00.000000Z'
  const running = changes.status === 'running'
  const durationS = running ? null : (changes.durationS ?? 66)
  return {
    id: idOf(`job ${changes.jobKey ?? ''} ${startedAt}`),
    parentId: null,
    entityType: 'job',
    appId: idOf('app'),
    appName: 'litho-apc',
    appVersion: '3.8.1',
    siteId: 'fab1',
    jobKey: 'L26N4402.1',
    subKey: null,
    status: 'succeeded',
    startedAt,
    endedAt: durationS === null ? null : fromMs(toMs(startedAt) + durationS * 1000),
    durationS,
    cpuUserS: 12.5,
    cpuSystemS: 1.5,
    memMaxMb: 655,
    progress: null,
    metrics: {},
    metadata: {},
    errorCount: 0,
    lastError: null,
    lastEventAt: startedAt,
    eventCount: 2,
    insertedAt: startedAt,
    updatedAt: startedAt,
    stuck: false,
    lost: false,
    late: false,
    endBeforeStart: false,
    attempt: 1,
    failedAttempts: changes.status === 'failed' ? 1 : 0,
    queuedAt: null,
    queueS: null,
    lastQueuedAt: changes.queuedAt ?? null,
    truncated: false,
    ...changes,
  } as Job
}

const apps = [
  ['litho-apc', 12],
  ['recipe-download', 18],
  ['metrology-upload', 190],
  ['wafer-map-merge', 70],
  ['lot-move', 30],
  ['etch-fdc', 400],
  ['cmp-r2r', 52],
  ['furnace-log', 900],
] as const
const tools = ['SCN-05', 'SCN-02', 'CDS-04', 'ETX-04', 'ETX-06', 'CMP-01', 'FRN-07', 'OVL-03']
const recipes = ['M1-LIT-193I v14', 'GATE-ETCH-38 v3', 'STI-CMP v7', 'CD-GATE-9PT v6']

/** Numbers that look random and are the same in every run. */
function dice(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** Fills a world with a shift of a fab that ends at `now`: `n` jobs, 25 seconds apart. */
export function fillShift(world: World, now: Micros, n: number): void {
  const random = dice(7)
  const pick = <T>(from: readonly T[]) => from[Math.floor(random() * from.length)]!
  for (let i = 0; i < n; i++) {
    const startMs = toMs(now) - (i * 25 + random() * 20 + 2) * 1000
    const [appName, usual] = pick(apps)
    const tookS = usual * (0.5 + random())
    const running = startMs + tookS * 1000 > toMs(now)
    const sick = appName === 'recipe-download' && i < 150
    const roll = random()
    const status = running
      ? 'running'
      : roll < (sick ? 0.6 : 0.03)
        ? 'failed'
        : roll > 0.985
          ? 'canceled'
          : 'succeeded'
    const tool = sick && status === 'failed' ? 'SCN-05' : pick(tools)
    const startedAt = fromMs(startMs)
    const updatedAt = fromMs(Math.min(startMs + tookS * 1000, toMs(now)))
    world.jobs.push(
      aJob({
        id: idOf(`shift ${i}`),
        jobKey: `L26N${4431 - Math.floor(i / 3)}.${(i % 3) + 1}`,
        appName,
        status,
        startedAt,
        durationS: running ? null : tookS,
        insertedAt: startedAt,
        updatedAt,
        lastEventAt: updatedAt,
        progress: running ? random() : 1,
        cpuUserS: tookS * 0.2,
        cpuSystemS: tookS * 0.02,
        memMaxMb: 40 + random() * 1800,
        usual: { runs: 412, p05S: usual * 0.6, p50S: usual, p95S: usual * 1.4 },
        stuck: running && i > 30,
        lost: running && i > 30 && i % 2 === 0,
        errorCount: status === 'failed' ? 1 : 0,
        lastError:
          status !== 'failed'
            ? null
            : sick
              ? `recipe checksum mismatch: host ${i}f1c, tool 90ab`
              : 'SECS T3 timeout after 45 s',
        metadata: {
          tool,
          recipe: sick ? recipes[0]! : pick(recipes),
          carrier_id: `FOUP-${String(800 + (i % 40)).padStart(4, '0')}`,
          ...(i % 17 === 0 ? { priority: 'hot' } : {}),
        },
      }),
    )
  }
}

/** One lot of 25 wafers on a metrology tool, of which wafer 14 is stuck, with its events. */
export function addLot(world: World, now: Micros): Job {
  const startMs = toMs(now) - 51 * 60_000
  const at = (minutes: number) => fromMs(startMs + minutes * 60_000)
  const id = idOf('lot')
  const lot = aJob({
    id,
    jobKey: 'L26N4402.1',
    appName: 'metrology-upload',
    status: 'running',
    startedAt: fromMs(startMs),
    progress: 0.7,
    stuck: true,
    lastEventAt: fromMs(toMs(now) - 4000),
    eventCount: 4,
    errorCount: 1,
    lastError: 'SiteError: site 7 of 9 has no reading\n  at measure (cdsem/site.py:212)',
    metrics: { cd_mean_nm: 38.1412, cd_3s_nm: 1.94, sites_measured: 126 },
    metadata: {
      tool: 'CDS-04',
      chamber: 'A and B',
      recipe: 'CD-GATE-9PT v6',
      carrier_id: 'FOUP-0832',
      step: '412 gate CD',
      route: 'N38-LV',
      operator_note: 'see https://wiki.fab1.example/cds-04',
      report: 'https://reports.fab1.example/L26N4402',
      limits: { cd_mean_nm: [37.6, 38.5] },
      stderr: '14:15:20 WARN  site 7/9  pattern score 0.31, needs 0.60\n14:15:21 ERROR site 7/9',
    },
  })
  world.jobs.push(lot)
  for (let wafer = 1; wafer <= 25; wafer++) {
    const status =
      wafer === 14 || wafer > 24
        ? 'running'
        : wafer === 11
          ? 'failed'
          : wafer === 20
            ? 'canceled'
            : 'succeeded'
    world.subjobs.push(
      aJob({
        id: idOf(`wafer ${wafer}`),
        parentId: id,
        entityType: 'subjob',
        jobKey: null,
        subKey: `W${String(wafer).padStart(2, '0')}`,
        appName: 'metrology-upload',
        status,
        stuck: wafer === 14,
        startedAt: at(wafer * 1.9),
        durationS: status === 'running' ? null : 150 + wafer * 3,
        lastError: status === 'failed' ? 'site 7 of 9 has no reading' : null,
        metadata: { chamber: wafer % 2 === 0 ? 'B' : 'A' },
      }),
    )
  }
  const kinds = ['started', 'progress', 'error', 'progress'] as const
  world.events.set(
    id,
    kinds.map((kind, i): StoredEvent => {
      const eventAt = i === 3 ? fromMs(toMs(now) - 4000) : at(i * 12)
      return {
        idempotency_key: idOf(`event ${i}`),
        site_id: 'fab1',
        app: { app_id: lot.appId, name: lot.appName, version: lot.appVersion },
        entity: { type: 'job', id, parent_id: null, business_key: lot.jobKey },
        event: {
          kind,
          at: eventAt,
          status: 'running',
          metrics: kind === 'progress' ? { progress: 0.3 * i, cd_mean_nm: 38.1412 } : {},
          metadata:
            kind === 'error' ? { error: 'site 7 of 9 has no reading' } : { carrier: 'FOUP-0832' },
        },
        received_at: fromMs(toMs(eventAt) + 612),
        source: { id: 'bn-04', epoch: 'e1', seq: 88_412 + i },
      }
    }),
  )
  return lot
}

/** A sink that works, unless told otherwise. */
export const sinkState = (name: string, changes: Partial<SinkState> = {}): SinkState => ({
  ...{ name, lagEvents: 0, lagS: 0, state: 'ok', status: 'ok', required: name === 'local-api' },
  ...{ rejects: 0, skipped: 0, gapEvents: null, gapAt: null, gapReason: null },
  ...changes,
})

/** Three sidecars: one in order, one with a gap, one whose clock is ahead. */
export function someSources(now: Micros): Source[] {
  const source = (id: string, changes: Partial<Source>): Source => ({
    id,
    epoch: idOf(id),
    lastSeq: 88_415,
    state: 'reporting',
    siteId: 'fab1',
    received: 88_415,
    missing: 0,
    accepted: 0,
    gaps: [],
    lastSeenAt: fromMs(toMs(now) - 2000),
    lastAt: fromMs(toMs(now) - 3000),
    heardAt: fromMs(toMs(now) - 4000),
    waiting: 3,
    lagS: 0.61,
    rejects: 0,
    spoolBytes: 40_960,
    spoolMaxBytes: 2 ** 30,
    trouble: null,
    sinks: [sinkState('local-api', { lagEvents: 3, lagS: 0.61 })],
    host: 'node7',
    version: '1.0.0',
    clockOffsetS: 0,
    clockOf: null,
    reused: 0,
    ...changes,
  })
  return [
    source('bn-04', {}),
    source('bn-05', {
      gaps: [{ source: 'bn-05', from: 310_114, to: 310_120 }],
      lastSeq: 1_084_770,
      missing: 7,
    }),
    source('bn-12', {
      ...{ clockOffsetS: 74.1, clockOf: 'etch', waiting: 1200, lagS: 372 },
      sinks: [
        sinkState('local-api', { lagEvents: 1200, lagS: 372 }),
        sinkState('csv-backup', {
          ...{ lagEvents: 41_000, lagS: 5400, state: 'failing', status: 'failing', skipped: 7400 },
          ...{ rejects: 3, gapEvents: 7400, gapAt: fromMs(toMs(now) - 900_000) },
          gapReason: 'the spool was above 70 % of SPOOL_MAX_BYTES',
        }),
      ],
    }),
  ]
}

/** 10,000 steps of a lot in the order of their starts: the eighth failed, the twelfth is running. */
export const manySteps = (
  lot: Job,
  { startedAt, lastError }: { startedAt: (step: number) => Micros; lastError: string },
): Job[] =>
  Array.from({ length: 10_000 }, (_, i) =>
    aJob({
      id: idOf(`step ${i}`),
      entityType: 'subjob',
      parentId: lot.id,
      subKey: `step ${i}`,
      startedAt: startedAt(i),
      status: i === 7 ? 'failed' : i === 11 ? 'running' : 'succeeded',
      lastError: i === 7 ? lastError : null,
      usual: { runs: 412, p05S: 20, p50S: 66, p95S: 90 },
      metadata: { tool: 'SCN-05', chamber: 'B' },
    }),
  )
