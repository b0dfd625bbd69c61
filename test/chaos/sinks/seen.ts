import { existsSync, readFileSync } from 'node:fs'

/** An event as the reader of a sink has it. */
export type Seen = {
  /** By this the reader tells events apart: a repeat has the same. */
  id: string
  /** Key of the event. */
  key: string
  /** The stamp of the spool. */
  epoch: string
  seq: number
  /** The job, or that of a subjob. */
  job: string
}

/** An event as a program sends it. */
export type Sent = {
  idempotency_key: string
  entity: { type: string; id: string; parent_id?: string }
  event: { kind: string; at: string }
}

/** Events of a row, by their keys. */
export type SentByKey = ReadonlyMap<string, Sent>

type Stamped = Pick<Sent, 'idempotency_key' | 'entity'> & { source: { epoch: string; seq: number } }

/** @param event as the spool hands it out */
export function toSeen(id: string, { idempotency_key: key, entity, source }: Stamped): Seen {
  return { id, key, epoch: source.epoch, seq: source.seq, job: entity.parent_id ?? entity.id }
}

/** A line for each event, in one piece: the kernel has it when the process that wrote it is killed. */
export const toLines = (events: readonly Seen[]) =>
  events.map((event) => `${JSON.stringify(event)}\n`).join('')

export function readLines<T extends Seen = Seen>(file: string): T[] {
  if (!existsSync(file)) return []
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1)
  return lines.map((line) => JSON.parse(line) as T)
}
