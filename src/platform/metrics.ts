import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** Latencies from half a millisecond to half a minute, in seconds. */
const latency = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
/** Job times from a tenth of a second to a day, in seconds. */
const jobTimes = [0.1, 1, 5, 15, 60, 300, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400]
/** Maximum app names with a series of their own; the rest is `other`. */
const maxApps = 200

/** Leaves out what promtool's lint refuses: gauges that are named `_total`. */
const refused = /^nodejs_active_.*_total$/

/**
 * Every metric of the product. Names without a prefix are a contract (wire.md, section 12); ours
 * begin with `wafermon_`. App names are the only free label, capped; lot, wafer, job and key never
 * are.
 */
export class Metrics {
  readonly registry = new Registry()
  readonly #apps = new Set<string>()

  readonly httpRequests = this.#counter('http_requests_total', 'HTTP requests answered.', [
    'method',
    'endpoint',
    'status',
  ])
  readonly httpDuration = this.#histogram(
    'http_request_duration_seconds',
    'Time from request to response.',
    latency,
    ['method', 'endpoint'],
  )
  readonly dbOperations = this.#counter('db_operations_total', 'Statements sent to the database.', [
    'operation',
    'table',
    'status',
  ])
  readonly dbDuration = this.#histogram(
    'db_operation_duration_seconds',
    'Duration of a database operation.',
    latency,
    ['operation', 'table'],
  )
  readonly dbPoolSize = this.#gauge('db_pool_size', 'Maximum connections of the pool.')
  readonly dbPoolAvailable = this.#gauge(
    'db_pool_available',
    'Connections of the pool with no query in flight.',
  )
  readonly eventsProcessed = this.#counter(
    'events_processed_total',
    'Events received, by kind and outcome: accepted, duplicate, rejected, shed; and what was put right: corrected (a clock), truncated (metadata), zero_time.',
    ['event_type', 'status'],
  )
  readonly eventsInSpool = this.#gauge(
    'events_in_spool',
    'Events on disk that are not yet delivered to every sink.',
  )
  readonly jobs = this.#counter('jobs_total', 'Jobs that ended, without subjobs.', [
    'app_name',
    'status',
  ])
  readonly jobDuration = this.#histogram(
    'job_duration_seconds',
    'Duration of ended jobs.',
    jobTimes,
    ['app_name'],
  )
  readonly spoolBytes = this.#gauge('wafermon_spool_bytes', 'Size of the spool on disk.')
  readonly spoolOldestAge = this.#gauge(
    'wafermon_spool_oldest_age_seconds',
    'Age of the oldest event in the spool; 0 when it is empty.',
  )
  readonly spoolCommits = this.#counter(
    'wafermon_spool_commits_total',
    'Durable commits of the spool; events per commit show how well commits are grouped.',
  )
  readonly sinkLagEvents = this.#gauge(
    'wafermon_sink_lag_events',
    'Events that a sink has not taken yet.',
    ['sink'],
  )
  readonly sinkLagSeconds = this.#gauge(
    'wafermon_sink_lag_seconds',
    'Age of the oldest event that a sink has not taken yet.',
    ['sink'],
  )
  readonly sinkState = this.#gauge(
    'wafermon_sink_state',
    '1 for the state that a sink is in: ok, failing, stopped (an operator has to act), detached (not configured), disabled.',
    ['sink', 'state'],
  )
  /** Kept on disk: they go on after a restart. The first is the sum of the others and of what the sink is owed. */
  readonly sinkEvents = {
    accepted: this.#counter(
      'wafermon_sink_accepted_events_total',
      'Events that came in since a sink began: the next four, and those that it has not taken yet.',
      ['sink'],
    ),
    delivered: this.#counter(
      'wafermon_sink_delivered_events_total',
      'Events that a sink took when they were first offered.',
      ['sink'],
    ),
    filtered: this.#counter(
      'wafermon_sink_filtered_events_total',
      'Events that the filter of a sink left out.',
      ['sink'],
    ),
    rejected: this.#counter(
      'wafermon_sink_rejected_events_total',
      'Events that a sink refused when they were first offered.',
      ['sink'],
    ),
    skipped: this.#counter(
      'wafermon_sink_skipped_events_total',
      'Events that a sink did without, because the spool was filling up or an operator skipped them.',
      ['sink'],
    ),
  }
  readonly sinkDeliveries = this.#counter(
    'wafermon_sink_deliveries_total',
    'Batches offered to a sink, by result: delivered, failed.',
    ['sink', 'result'],
  )
  readonly heartbeats = this.#counter(
    'wafermon_heartbeats_total',
    'Heartbeats of this sidecar, by result: kept, unknown (an older local API), failed.',
    ['sink', 'result'],
  )
  readonly sources = this.#gauge(
    'wafermon_sources',
    'Sidecars known to the store, without retired ones.',
  )
  readonly sourceSilent = this.#gauge(
    'wafermon_source_silent',
    'Sidecars that sent heartbeats and have sent none for 30 s: how many events wait there is not known.',
  )
  readonly sourceWaiting = this.#gauge(
    'wafermon_source_waiting_events',
    'Events that wait in the spools of the sidecars that report.',
  )
  readonly sourceMissing = this.#gauge(
    'wafermon_source_missing_events',
    'Events that spools numbered and the store has not received; accepted losses not counted.',
  )
  readonly rejects = this.#gauge(
    'wafermon_rejects',
    'Events set aside because a sink refused them.',
    ['sink'],
  )
  readonly rejectChanges = this.#counter(
    'wafermon_reject_changes_total',
    'Rejects that came and went, by change: set_aside, retried, dropped.',
    ['sink', 'change'],
  )
  readonly ingestBatch = this.#histogram(
    'wafermon_ingest_batch_events',
    'Events committed together in one transaction.',
    [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000],
  )
  readonly reusedNumbers = this.#counter(
    'wafermon_reused_numbers_total',
    'Numbers of spools that came with another event before: a spool went back in time.',
  )
  readonly streamClients = this.#gauge('wafermon_stream_clients', 'Clients of the live stream.')
  readonly streamCutOff = this.#counter(
    'wafermon_stream_cut_off_total',
    'Clients of the live stream that were disconnected for being too slow.',
  )
  readonly archiveFiles = this.#counter(
    'wafermon_archive_files_total',
    'Archive files written, read back and matched, by table.',
    ['table'],
  )
  readonly archiveRows = this.#counter('wafermon_archive_rows_total', 'Rows archived, by table.', [
    'table',
  ])
  readonly archiveFailures = this.#counter(
    'wafermon_archive_failures_total',
    'Failed attempts to archive a day; each is retried.',
  )
  readonly archiveBehind = this.#gauge(
    'wafermon_archive_behind_seconds',
    'Age of the end of the oldest closed day that is not archived yet; 0 when all are.',
  )
  readonly archiveLateEvents = this.#gauge(
    'wafermon_archive_late_events',
    'Late events of closed days that are not in the archive yet.',
  )
  readonly archiveChangedJobs = this.#gauge(
    'wafermon_archive_changed_jobs',
    'Jobs and subjobs of closed days that the archive does not have as they are.',
  )
  readonly archiveRepeats = this.#counter(
    'wafermon_archive_repeats_total',
    'Events that came again after they were archived: dropped, and taken back from the counts of their jobs.',
  )
  readonly archiveChecked = this.#counter(
    'wafermon_archive_checked_files_total',
    'Archived files read whole again as a sample, by result: good, failing.',
    ['result'],
  )
  readonly archiveFailing = this.#gauge(
    'wafermon_archive_failing_files',
    'Archived files that did not read back when they were last read.',
  )
  readonly diskFree = this.#gauge(
    'wafermon_disk_free_bytes',
    'Free bytes of the disks of archive and database, where they can be measured.',
    ['disk'],
  )
  readonly diskDaysLeft = this.#gauge(
    'wafermon_disk_days_left',
    'Days until a disk is full at the pace of the last week; absent while that is not known, or it does not fill up.',
    ['disk'],
  )
  readonly retentionBehind = this.#gauge(
    'wafermon_retention_behind_seconds',
    'Time by which the oldest raw events that cannot be dropped yet exceed retention; 0 when there are none.',
  )
  readonly logLinesDropped = this.#counter(
    'wafermon_log_lines_dropped_total',
    'Log lines dropped because their reader stalled or the disk was full.',
  )
  readonly loopLag = this.#histogram(
    'wafermon_event_loop_lag_seconds',
    'Delay of the event loop, measured ten times a second: meanwhile the role answers no caller.',
    latency,
  )
  readonly siteUp = this.#gauge(
    'wafermon_site_up',
    '1 when the site answered, 0 when it did not.',
    ['site'],
  )

  constructor() {
    collectDefaultMetrics({ register: this.registry })
    for (const { name } of this.registry.getMetricsAsArray()) {
      if (refused.test(name)) this.registry.removeSingleMetric(name)
    }
  }

  /** The label to use for an app: its name while there are few, `other` once there are too many. */
  appLabel(name: string): string {
    if (this.#apps.has(name)) return name
    if (this.#apps.size >= maxApps) return 'other'
    this.#apps.add(name)
    return name
  }

  #counter<L extends string>(name: string, help: string, labelNames: L[] = []) {
    return new Counter({ name, help, labelNames, registers: [this.registry] })
  }

  #gauge<L extends string>(name: string, help: string, labelNames: L[] = []) {
    return new Gauge({ name, help, labelNames, registers: [this.registry] })
  }

  #histogram<L extends string>(
    name: string,
    help: string,
    buckets: number[],
    labelNames: L[] = [],
  ) {
    return new Histogram({ name, help, buckets, labelNames, registers: [this.registry] })
  }
}
