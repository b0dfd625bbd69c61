/** Fields of a CSV text by RFC 4180, independent of our writer. */
export function parseCsv(text: string): string[][] {
  const rows: string[][] = [[]]
  const fields = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|$)/gy
  for (let match = fields.exec(text); match; match = fields.exec(text)) {
    const [, quoted, plain = '', end] = match
    rows.at(-1)!.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'))
    if (end === '') break
    if (end === '\r\n') {
      if (fields.lastIndex === text.length) break
      rows.push([])
    }
  }
  return rows
}
