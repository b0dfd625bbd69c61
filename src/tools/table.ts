/** Columns as wide as what is in them, the last one free. Control characters are made visible. */
export function table(rows: readonly (readonly string[])[], indent = ''): string {
  const clean = rows.map((row) => row.map((cell) => cell.replaceAll(/\p{Cc}/gu, '\uFFFD')))
  const widths = (clean[0] ?? []).map((_, i) => Math.max(...clean.map((row) => row[i]!.length)))
  return clean
    .map(
      (row) =>
        indent +
        row
          .map((cell, i) => cell.padEnd(widths[i]!))
          .join('  ')
          .trimEnd(),
    )
    .join('\n')
}

/** `12,345`. */
export const grouped = (n: number): string => n.toLocaleString('en')
