/** Order by code point, which is that of UTF-8 bytes and of PostgreSQL's collation "C". */
export function compareText(a: string, b: string): number {
  if (a === b) return 0
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
