/** Adds who forwarded an event as its last field, unless an earlier spool did (`sourceSeq` is null). */
export function stamp(body: string, id: string, epoch: string, sourceSeq: number | null): string {
  if (sourceSeq === null) return body
  const source = JSON.stringify({ id, epoch, seq: sourceSeq })
  return `${body.slice(0, -1)},"source":${source}}`
}
