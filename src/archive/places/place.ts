import type * as z from 'zod'
import { AppError } from '../../core/errors.ts'
import type { Room } from '../../platform/disk-room.ts'

/*
 * Where the archive lies: a folder, or anything else that keeps files for years. Bytes are staged
 * first, which can take long and gives them no name; then `putOnce` gives them one. Guarantees of
 * every place, checked for each by test/archive/place-contract.ts:
 *
 * - A name is given once. `putOnce` of a name that other bytes have fails and leaves them as they
 *   are; of two that put one name at the same time, one wins. With the same bytes it succeeds, for
 *   then it finishes what a crash cut short. Only `remove` makes a name free again.
 * - Whole or absent. A name appears with all of its bytes or not at all, whatever crashes and when.
 * - Durable on return. Once `putOnce` has returned, neither the bytes nor the name are lost by a
 *   power cut, and what is read is what was staged: a place with a network in between makes sure.
 * - Staged bytes have no name: no listing shows them and no name reads them. They are the place's
 *   own affair, as are the leftovers of a crash; `clearStaged` is when it may remove them.
 * - `read`, `stat` and `list` see every `putOnce` and `remove` that returned before they were
 *   called, in any process. A name that is put or removed while a listing runs may be missing from
 *   it or still be in it. Listings have files of others too, in the order of the bytes of names.
 * - Memory does not grow with the size of a file.
 * - A name is parts with a slash between; none is empty, `.` or `..`, and the first is not `_tmp`.
 *   So no name leaves the place, whatever a site calls itself.
 *
 * Absence is not an error: `read` and `stat` answer undefined, and `remove` succeeds. Errors are
 * AppErrors where an operator can act: `invalid` (the name), `conflict` (other bytes have the name),
 * `unavailable` (with the remedy). Any other is thrown as it came, and never taken for absence.
 *
 * A new kind of place is a file beside this one and a line in index.ts.
 */

export interface Place {
  /** The setting that says where it is, for messages: `ARCHIVE_DIR`. */
  readonly setting: string
  /** Where it is, for messages. */
  readonly address: string
  /** Sentences about what it cannot guarantee, once `check` has tried it; absent where it keeps all. */
  readonly limits?: readonly string[]

  /**
   * Checks that the place can be used as it is configured; it does not look for room.
   *
   * @throws AppError unavailable, saying what to do
   */
  check(access: 'read' | 'write'): Promise<void>

  /**
   * Stores bytes without a name, durably. Nothing is left of them when that fails.
   *
   * @param label a name for people, such as `site=fab1/event-0.parquet`; it may be used again
   * @throws what `chunks` throws
   */
  stage(label: string, chunks: AsyncIterable<Uint8Array>): Promise<Staged>

  /**
   * Forgets what was staged under labels below `prefix` and never put, by any process. For the one
   * that holds the archiver's lock: what an archiver without it had staged cannot be put any more.
   */
  clearStaged(prefix: string): Promise<void>

  /**
   * Gives staged bytes a name, once. They cannot be put again, also after a failure.
   *
   * @throws AppError conflict when other bytes have the name, unavailable when these were cleared
   */
  putOnce(name: string, staged: Staged): Promise<void>

  /** The bytes of a name; undefined when there is none. */
  read(name: string): Promise<Content | undefined>

  /** The size of a name; undefined when there is none. */
  stat(name: string): Promise<{ bytes: number } | undefined>

  /** All names below `prefix`, a folder of names, or all there are when it is empty. */
  list(prefix: string): AsyncIterable<string>

  remove(name: string): Promise<void>

  /** The room that is left; absent, or undefined, where that cannot be measured. */
  room?(): Promise<Room | undefined>

  /**
   * Lets the store itself refuse to delete the bytes of a name, whoever asks, or no longer; absent where no place of
   * the kind can.
   *
   * @returns false where this one cannot
   * @throws AppError unavailable, as when the right to do so is lacking
   */
  holdName?(name: string, held: boolean): Promise<boolean>
}

/** Bytes that can be read as often as needed, from anywhere. */
export type Content = {
  readonly bytes: number
  /**
   * The bytes of a range, or all of them, in order and in chunks of a few MiB at most.
   *
   * @throws when one of them is not there
   */
  chunks(range?: ByteRange): AsyncIterable<Uint8Array>
}

/** `from` included, `to` not. */
export type ByteRange = { from: number; to: number }

/** Bytes without a name, and their SHA-256 as they were handed over. */
export type Staged = Content & { readonly sha256: string }

/** An entry of index.ts. */
export type PlaceKind<Shape extends z.ZodRawShape = z.ZodRawShape> = {
  type: string
  settings: Shape
  /**
   * @param settings its own
   * @returns undefined when these settings ask for another kind
   * @throws ConfigError naming the settings that contradict each other
   */
  open(settings: z.infer<z.ZodObject<Shape>>, options: OpenOptions): Place | undefined
}

export type OpenOptions = {
  /** The settings of all kinds. */
  given: Record<string, unknown>
  /** Is told each of `limits`, when it is found. */
  onLimit?: (limit: string) => void
}

/** Names below it are the place's own. */
export const stagingFolder = '_tmp'

/** Every place calls it first. @throws AppError invalid, when it is not a valid name in the archive */
export function assertName(name: string): void {
  const parts = name.split('/')
  const isWrong = (part: string) => part === '' || part === '.' || part === '..'
  if (!parts.some(isWrong) && parts[0] !== stagingFolder && !name.includes('\0')) return
  throw new AppError('invalid', `${JSON.stringify(name)} is not a valid name in the archive`)
}

/** As {@link assertName}; an empty prefix means all names. */
export function assertPrefix(prefix: string): void {
  if (prefix !== '') assertName(prefix)
}

/** Thrown by `putOnce` when other bytes have the name. */
export function refuseTaken(name: string): never {
  const remedy = 'move it away if it is not needed'
  throw new AppError('conflict', `${name} exists with different content; ${remedy}`)
}

/** Thrown by `putOnce` when the staged bytes were cleared. */
export function refuseCleared(name: string, cause?: unknown): never {
  const message = `another archiver removed what was staged for ${name}`
  throw new AppError('unavailable', message, { cause })
}
