/** The event with who forwarded it put on as its last field; unchanged when it has that already. */
export function stamp(body: string, id: string, epoch: string, sourceSeq: number | null): string {
  if (sourceSeq === null) return body
  const source = JSON.stringify({ id, epoch, seq: sourceSeq })
  return `${body.slice(0, -1)},"source":${source}}`
}
