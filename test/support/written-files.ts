/*
 * Every name that the program gives to something on a disk, and the test that says what a full disk does
 * under it. `test/written-files.test.ts` finds what writes in `src`, and holds it against this; the tests
 * of `up` and of the spool hold what they find on disk against it.
 */

export type Written = {
  /** Below the folder of `up`; `spool/` is SPOOL_DIR and `archive/` is ARCHIVE_DIR, wherever they are. */
  name: string
  /** The files of `src` that write it. A file written durably is `NAME.partial` before. */
  by: readonly string[]
  /** The test of a full disk: its file, and its name or a part of it. */
  test: readonly [file: string, name: string]
}

const spool = 'test/spool/full-disk.test.ts'
const matrix = 'test/faults/disk-matrix.test.ts'
const platform = 'test/platform/full-disk.test.ts'
const database = 'test/embedded-postgres/full-disk.test.ts'
const tokens = 'test/roles/up-tokens.test.ts'
const archive = 'test/archive/folder-place.test.ts'

/** `*` is any text without a slash, `**` any text. */
export const written: readonly Written[] = [
  {
    name: 'spool',
    by: ['platform/own-folder.ts'],
    test: [platform, 'a sidecar that cannot start on a full disk says so without a stack'],
  },
  ...['spool.db', 'spool.db-wal', 'spool.db-journal'].map((name) => ({
    name: `spool/${name}`,
    by: ['spool/database.ts', 'spool/swap.ts'],
    test: [matrix, 'refuses in words, takes every acknowledgment, and accepts again'] as const,
  })),
  ...['lock.db', 'lock.db-journal'].map((name) => ({
    name: `spool/${name}`,
    by: ['spool/folder.ts'],
    test: [matrix, 'that others fill keeps no sidecar from starting'] as const,
  })),
  {
    name: 'spool/ballast',
    by: ['spool/ballast.ts'],
    test: ['test/spool/closed.test.ts', 'without space for its ballast says so'],
  },
  {
    name: 'spool/ballast.probe',
    by: ['spool/ballast.ts'],
    test: [spool, 'also when it is full for ballast.probe alone'],
  },
  {
    name: 'spool/source-id',
    by: ['spool/source-id.ts', 'platform/durable-file.ts'],
    test: [spool, 'under source-id refuses a new spool in words'],
  },
  {
    name: 'spool/source-id.damaged',
    by: ['spool/source-id.ts'],
    test: [spool, 'under source-id.damaged leaves the damaged id where it is'],
  },
  {
    name: 'spool/last-seq',
    by: ['spool/last-seq.ts', 'platform/durable-file.ts'],
    test: [spool, 'under last-seq costs no event'],
  },
  {
    name: 'spool/paused',
    by: ['spool/pauses.ts', 'platform/durable-file.ts'],
    test: [spool, 'under paused leaves the sink as it was'],
  },
  {
    name: 'spool/spool.db.unsound',
    by: ['spool/guard.ts', 'platform/durable-file.ts'],
    test: [spool, 'under spool.db.unsound ends the sidecar all the same'],
  },
  ...['spool.db.partial', 'spool.db.partial-wal'].map((name) => ({
    name: `spool/${name}`,
    by: ['spool/swap.ts', 'spool/database.ts'],
    test: [spool, 'under spool.db.partial leaves a damaged spool as it is'] as const,
  })),
  ...['spool.db-wal.damaged', 'spool.db-wal.damaged.partial'].map((name) => ({
    name: `spool/${name}`,
    by: ['spool/swap.ts'],
    test: [spool, 'under spool.db-wal.damaged leaves the damaged log as it is'] as const,
  })),
  ...['damaged-*', 'damaged-*/unfinished'].map((name) => ({
    name: `spool/${name}`,
    by: ['spool/swap.ts', 'platform/durable-file.ts'],
    test: [spool, 'under damaged-<time> and its note leaves a damaged spool as it is'] as const,
  })),
  ...['spool.db', 'spool.db-wal', 'spool.db-wal.damaged', 'spool.db.unsound'].map((name) => ({
    name: `spool/damaged-*/${name}`,
    by: ['spool/swap.ts', 'spool/salvage.ts', 'spool/carry-table.ts'],
    test: [matrix, 'beside a damaged spool keeps no sidecar from starting'] as const,
  })),
  {
    name: 'archive',
    by: ['archive/places/folder.ts'],
    test: [archive, 'says of a full disk to make room, and so does staging'],
  },
  {
    name: 'archive/**',
    by: ['archive/places/folder.ts', 'archive/places/folder-files.ts'],
    test: [
      'test/faults/archiver-trouble.test.ts',
      'finishes the day once a full disk has room again',
    ],
  },
  {
    name: 'logs',
    by: ['platform/own-folder.ts'],
    test: [platform, 'under the folder of `up` and that of its logs refuses in words'],
  },
  {
    name: 'logs/up.log',
    by: ['platform/line-writer.ts'],
    test: [platform, 'under up.log does not end `up`'],
  },
  {
    name: 'logs/*.log',
    by: ['platform/line-writer.ts'],
    test: [platform, "under a role's log keeps no role from running"],
  },
  ...['logs/*.log.1', 'logs/*.log.partial'].map((name) => ({
    name,
    by: ['platform/log-rotation.ts'],
    test: [platform, "under a role's log.1 leaves the log as it is"] as const,
  })),
  ...['up.lock', 'up.lock.*', 'postgres.lock', 'postgres.lock.*'].map((name) => ({
    name,
    by: ['platform/lock-file.ts'],
    test: [platform, 'be taken and given back: it needs a name and no space'] as const,
  })),
  {
    name: 'up.children',
    by: ['platform/supervisor.ts', 'platform/durable-file.ts'],
    test: [platform, 'under up.children keeps nothing from running'],
  },
  ...['up.token', 'up.tokens'].map((name) => ({
    name,
    by: ['roles/up/folder.ts', 'platform/durable-file.ts'],
    test: [tokens, 'on a full disk need no space for'] as const,
  })),
  {
    name: 'up.simulated',
    by: ['roles/up/folder.ts', 'platform/durable-file.ts'],
    test: [platform, 'under the note that a folder is simulated refuses in words'],
  },
  ...['postgres.password', 'postgres.initial'].map((name) => ({
    name,
    by: ['embedded-postgres/cluster.ts', 'platform/durable-file.ts'],
    test: [database, 'refuses the first start in words, and leaves nothing half done'] as const,
  })),
  ...['postgres.socket', 'run', 'run/**'].map((name) => ({
    name,
    by: ['embedded-postgres/socket.ts', 'embedded-postgres/user.ts', 'platform/durable-file.ts'],
    test: [database, 'under postgres.socket does not keep the database from starting'] as const,
  })),
  ...['postgres', 'postgres/**', 'postgres.new', 'postgres.new/**'].map((name) => ({
    name,
    by: ['embedded-postgres/cluster.ts', 'embedded-postgres/user.ts'],
    test: [database, 'under the programs of PostgreSQL and its data'] as const,
  })),
  ...['postgres-*', 'postgres-*/**'].map((name) => ({
    name,
    by: ['embedded-postgres/install.ts'],
    test: [database, 'under the programs of PostgreSQL and its data'] as const,
  })),
  {
    name: 'elsewhere: TOKENS_FILE',
    by: ['tools/token.ts', 'platform/auth.ts', 'platform/durable-file.ts'],
    test: [platform, 'a file of tokens'],
  },
  {
    name: 'elsewhere: --state of a replay',
    by: ['tools/replay/checkpoint.ts', 'platform/durable-file.ts'],
    test: [platform, 'the position of a replay'],
  },
  ...['.wafer_events_*', '.wafer_events_*.lock', 'wafer_events_*', 'wafer_events_*.gz.partial'].map(
    (name) => ({
      name: `elsewhere: output_dir/${name}`,
      by: ['sinks/event-files/folder.ts', 'sinks/event-files/record.ts', 'platform/lock-file.ts'],
      test: [
        'test/sinks/event-files.test.ts',
        'on a disk that is full for their names fail, and go on once it is not',
      ] as const,
    }),
  ),
  {
    name: 'elsewhere: output_dir/open_*',
    by: ['sinks/event-files/folder.ts'],
    test: ['test/sinks/event-files-contract.test.ts', 'writes that fail in the middle'],
  },
  {
    name: 'elsewhere: --records of a simulated fab',
    by: ['tools/simulate/write-records.ts'],
    test: [platform, 'the records of a simulated fab'],
  },
  {
    name: 'elsewhere: standard output',
    by: ['platform/line-writer.ts'],
    test: ['test/platform/line-writer.test.ts', 'a log on a full disk does not end the process'],
  },
]

/**
 * How many calls that name or open something each file of `src` makes. Where one is added, what it writes
 * needs a line above.
 */
export const calls: Readonly<Record<string, number>> = {
  'archive/places/folder-files.ts': 7,
  'archive/places/folder.ts': 1,
  'embedded-postgres/cluster.ts': 3,
  'embedded-postgres/install.ts': 5,
  'embedded-postgres/socket.ts': 3,
  'embedded-postgres/user.ts': 1,
  'platform/auth.ts': 1,
  'platform/durable-file.ts': 3,
  'platform/line-writer.ts': 2,
  'platform/lock-file.ts': 3,
  'platform/log-rotation.ts': 4,
  'platform/own-folder.ts': 1,
  'platform/supervisor.ts': 1,
  'roles/up/folder.ts': 1,
  'sdk/usage.ts': 1,
  'sinks/event-files/folder.ts': 7,
  'sinks/event-files/record.ts': 1,
  'spool/ballast.ts': 2,
  'spool/carry-table.ts': 1,
  'spool/database.ts': 2,
  'spool/folder.ts': 1,
  'spool/guard.ts': 1,
  'spool/last-seq.ts': 2,
  'spool/pauses.ts': 1,
  'spool/salvage.ts': 1,
  'spool/source-id.ts': 2,
  'spool/swap.ts': 9,
  'tools/import/source.ts': 3,
  'tools/replay/checkpoint.ts': 1,
  'tools/simulate/write-records.ts': 2,
  'tools/token.ts': 2,
}

/** Those of them that only read. */
export const readers = ['sdk/usage.ts', 'tools/import/source.ts']

/** Names that the program does not give. @param names below the folder of `up`, or of another one below it */
export function findUnknown(names: readonly string[]): string[] {
  const known = written.map(({ name }) => toPattern(name))
  const isKnown = (name: string) => known.some((pattern) => pattern.test(name))
  return names.filter((name) => !isKnown(name) && !isKnown(name.replace(/\.partial$/, '')))
}

function toPattern(name: string): RegExp {
  const text = name.replaceAll(/[.+]/g, '\\$&')
  return new RegExp(`^${text.replaceAll(/\*+/g, (stars) => (stars === '*' ? '[^/]*' : '.*'))}$`)
}
