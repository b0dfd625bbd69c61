import type { Sql } from './driver.ts'

/** Characters of an error that count. */
const maxError = 300
/** Not within a name: after a letter or digit, or after one with a hyphen, as in `T3` and `SCN-05`. */
const alone = '(?<![A-Za-z0-9_][-./:]|[A-Za-z0-9_])'
const ids = String.raw`${alone}(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|0x[0-9a-f]+|(?=[0-9a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{4,})\M`
const numbers = `${alone}[0-9]+(?:[-.,:/T][0-9]+)*`

/**
 * The first line of an error without what differs between occurrences of one fault: the key of the
 * job, ids, hashes, times and numbers become `#`.
 */
export const errorClassSql = (sql: Sql) => sql`
  btrim(regexp_replace(regexp_replace(
    replace(left(split_part(translate(ltrim(last_error, E' \t\r\n'), E'\r', E'\n'), E'\n', 1), ${maxError}),
      coalesce(job_key, ''), '#'),
    ${ids}, '#', 'gi'), ${numbers}, '#', 'g'))`
