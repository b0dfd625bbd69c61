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

/** `4 s`, `12 min`, `3 h 20 min`, `2 d 4 h`. */
export function ageText(seconds: number): string {
  const s = Math.floor(seconds)
  if (s < 120) return `${s} s`
  const min = Math.floor(s / 60)
  if (min < 120) return `${min} min`
  const h = Math.floor(min / 60)
  return h < 48 ? `${h} h ${min % 60} min` : `${Math.floor(h / 24)} d ${h % 24} h`
}
