import type { TransactionSql } from './connect.ts'

/** What a person changed by hand. `before` and `after` are what it was and what it is, as JSON. */
export type AuditEntry = {
  actor: string
  address: string | null
  /** The kind of change, such as `source.accept`. */
  action: string
  /** What was changed, such as `source bn-07`. */
  object: string
  before: object | null
  after: object | null
  reason: string | null
}

/** Keeps who did what, when and why: in the transaction of the change, so that there is not one without the other. */
export async function writeAudit(tx: TransactionSql, entry: AuditEntry): Promise<void> {
  const { actor, address, action, object, before, after, reason } = entry
  await tx`
    /* audit.write */
    insert into audit (actor, address, action, object, before, after, reason)
    values (${actor}, ${address}, ${action}, ${object}, ${toJson(before)}::text::jsonb,
      ${toJson(after)}::text::jsonb, ${reason})`
}

const toJson = (value: object | null) => (value === null ? null : JSON.stringify(value))
