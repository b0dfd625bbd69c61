import {
  type ArchiveKind,
  type ArchiveType,
  archiveColumns,
  archiveKinds,
} from '../../src/store/archive/columns.ts'

/*
 * sql/archive/ for engines that cannot be run here, made from the columns of the archive. `npm run docs` writes the files, and a
 * test compares.
 */

type Engine = {
  head: string
  types: Record<ArchiveType, string>
  /** Makes the table of all rows of a kind. */
  table(kind: ArchiveKind, columns: string): string
  /** Words before the name of a view. */
  view: string
  /** A condition that leaves the hours of earlier versions out; they have other columns. */
  noHours?: string
  json: (name: string) => string
}

const text = (type: string) => ({ id: type, text: type, json: type })

const engines: Record<string, Engine> = {
  athena: {
    head: `-- The archive in Amazon Athena, for the S3 place. Put your bucket, prefix and sites in.
-- Partitions are computed from the query, so new days need no command. Times are UTC, with milliseconds here.`,
    types: {
      ...text('string'),
      time: 'timestamp',
      int: 'bigint',
      float: 'double',
      bool: 'boolean',
    },
    table: (kind, columns) => `create external table archive_${kind} (
${columns}
)
partitioned by (site string, dt string)
stored as parquet
location 's3://BUCKET/PREFIX/${kind}/'
tblproperties (
  'projection.enabled' = 'true',
  'projection.site.type' = 'enum', 'projection.site.values' = 'fab1',
  'projection.dt.type' = 'date', 'projection.dt.format' = 'yyyy-MM-dd', 'projection.dt.range' = '2026-01-01,NOW',
  'storage.location.template' = 's3://BUCKET/PREFIX/${kind}/site=$\{site}/dt=$\{dt}/'
);`,
    view: 'create or replace view',
    noHours: `"$path" not like '%/hour=%'`,
    json: (name) => `json_parse(${name}) as ${name}`,
  },
  trino: {
    head: `-- The archive in Trino, through its Hive connector (catalog "hive"). Put your bucket and prefix in.
-- Times are UTC; for microseconds: set session hive.timestamp_precision = 'MICROSECONDS' before the views are made.
-- New days: call hive.system.sync_partition_metadata('wafermon', 'archive_job', 'ADD'), and so for the other two.`,
    types: {
      ...text('varchar'),
      time: 'timestamp',
      int: 'bigint',
      float: 'double',
      bool: 'boolean',
    },
    table: (kind, columns) => `create table hive.wafermon.archive_${kind} (
${columns},
  site varchar,
  dt varchar
)
with (
  external_location = 's3://BUCKET/PREFIX/${kind}/', format = 'PARQUET', partitioned_by = array['site', 'dt']
);
call hive.system.sync_partition_metadata('wafermon', 'archive_${kind}', 'ADD');`,
    view: 'create or replace view hive.wafermon.',
    noHours: `"$path" not like '%/hour=%'`,
    json: (name) => `json_parse(${name}) as ${name}`,
  },
  spark: {
    head: `-- The archive in Spark SQL. Put your folder or bucket in, and start Spark with spark.sql.session.timeZone=UTC.
-- New days: msck repair table archive_job, and so for the other two. Folders below a day, which are hours of earlier
-- versions, are not read.`,
    types: {
      ...text('string'),
      time: 'timestamp',
      int: 'bigint',
      float: 'double',
      bool: 'boolean',
    },
    table: (kind, columns) => `create table archive_${kind} (
${columns},
  site string,
  dt string
)
using parquet
partitioned by (site, dt)
location 's3a://BUCKET/PREFIX/${kind}/';
msck repair table archive_${kind};`,
    view: 'create or replace view',
    json: (name) => name,
  },
}

/** The text of each file, by its name. */
export const engineFiles = (): Map<string, string> =>
  new Map(
    Object.entries(engines).map(([name, engine]) => [`sql/archive/${name}.sql`, toFile(engine)]),
  )

function toFile(engine: Engine): string {
  const parts = archiveKinds.flatMap((kind) => {
    const columns = archiveColumns[kind].map(({ name, type }) => `  ${name} ${engine.types[type]}`)
    return [
      engine.table(kind, columns.join(',\n')),
      kind === 'event' ? eventView(engine) : jobView(engine, kind),
    ]
  })
  const about = `-- Written by npm run docs. This file was not run: docs/not-tried.md. Filters on site and dt keep other days from being read.`
  return `${engine.head}\n${about}\n\n${parts.join('\n\n')}\n`
}

const isJson = (type: ArchiveType) => type === 'json'

function listOf({ json }: Engine, kind: ArchiveKind): string {
  const names = archiveColumns[kind].map(({ name, type }) => (isJson(type) ? json(name) : name))
  return [...names, 'site', 'dt'].join(', ')
}

const nameOf = ({ view }: Engine, kind: ArchiveKind) =>
  `${view}${view.endsWith('.') ? '' : ' '}archived_${kind}`

const sourceOf = ({ view }: Engine, kind: ArchiveKind) =>
  `${view.endsWith('.') ? 'hive.wafermon.' : ''}archive_${kind}`

const whereOf = ({ noHours }: Engine) => (noHours === undefined ? '' : `\nwhere ${noHours}`)

const eventView = (engine: Engine) => `${nameOf(engine, 'event')} as
select ${listOf(engine, 'event')}
from ${sourceOf(engine, 'event')}${whereOf(engine)};`

/** The window is over site and dt too: filters on them reach the files through it. */
const jobView = (
  engine: Engine,
  kind: 'job' | 'subjob',
) => `-- The last version, and only in the day where it lies now.
${nameOf(engine, kind)} as
select ${listOf(engine, kind)}
from (
  select *, row_number() over (partition by site, dt, ${kind}_id order by version desc) as n
  from ${sourceOf(engine, kind)}${whereOf(engine).replace('\n', '\n  ')}
) versions
where n = 1 and moved_to is null;`
