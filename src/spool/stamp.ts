/** Adds who forwarded an event as its last field. */
export function stamp(body: string, id: string, epoch: string, sourceSeq: number): string {
  const source = JSON.stringify({ id, epoch, seq: sourceSeq })
  return `${body.slice(0, -1)},"source":${source}}`
}
