import type { Child } from 'hono/jsx'
import { Scroll } from './scroll.tsx'

/** One column of a table: its heading, and what a row shows in it. */
export type Column<Row> = {
  head: string
  /** Leaves the heading to screen readers. */
  headHidden?: true
  /** The column that orders the rows, and where its heading leads. */
  sorted?: { direction: 'ascending' | 'descending'; href: string } | undefined
  cell: (row: Row) => Child
  /** A number: right-aligned, and labeled on a phone. */
  number?: true
  /** Hidden while no row has a value in it, also on an open page. Of several, all while none has. */
  rare?: true
  /** The cell that names its row. */
  rowHeader?: true
  /** Further classes of the cell: `k`, `x`, `cut`, `e`, `s`, `br`; see wafermon.css. */
  class?: string
  /** The label before a number where rows fold; the heading in lower case unless given. */
  folded?: string
  /** The full text, shown on hover. */
  title?: (row: Row) => string | undefined
}

type TableProps<Row> = {
  /** Names the table for screen readers. */
  caption: string
  columns: readonly Column<Row>[]
  rows: readonly Row[]
  rowId?: (row: Row) => string
  /** Folds each row into lines on a phone, with a label before each number. */
  stack?: boolean
  /** Classes: `stick` keeps the heading in sight, `narrow`, `jobs`; see wafermon.css. */
  class?: string
  /** Shown in place of a table without rows. */
  empty?: string
  /** False for a table that is never wider than its panel. */
  scroll?: boolean
}

/** A table of data: a heading per column, a row header per row, and a label per folded number. */
export function DataTable<Row>(props: TableProps<Row>) {
  const { caption, columns, rows, rowId, stack = false, class: more, empty, scroll = true } = props
  if (rows.length === 0 && empty !== undefined) return <p class="empty">{empty}</p>
  const table = (
    <table class={['t', more, stack && 'stack'].filter(Boolean).join(' ')}>
      <caption class="vh">{caption}</caption>
      <thead>
        <tr>{columns.map(heading)}</tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <DataRow columns={columns} row={row} id={rowId?.(row)} stack={stack} />
        ))}
      </tbody>
    </table>
  )
  return scroll ? <Scroll label={`${caption}, table`}>{table}</Scroll> : table
}

function heading<Row>({ head, headHidden, sorted, number, rare }: Column<Row>) {
  if (headHidden) {
    return (
      <th scope="col">
        <span class="vh">{head}</span>
      </th>
    )
  }
  return (
    <th
      scope="col"
      aria-sort={sorted?.direction}
      class={[number && 'n', rare && 'rare'].filter(Boolean).join(' ') || undefined}
    >
      {sorted === undefined ? head : <a href={sorted.href}>{head}</a>}
    </th>
  )
}

type RowProps<Row> = {
  columns: readonly Column<Row>[]
  row: Row
  id?: string | undefined
  stack: boolean
}

/** One row, in its table or sent alone to a page that is open. */
export function DataRow<Row>({ columns, row, id, stack }: RowProps<Row>) {
  return <tr id={id}>{columns.map((column) => cell(column, row, stack))}</tr>
}

function cell<Row>(column: Column<Row>, row: Row, stack: boolean) {
  const { number, rare, rowHeader, head, folded = head.toLowerCase() } = column
  const content = column.cell(row)
  const title = column.title?.(row)
  if (rowHeader) {
    return (
      <th scope="row" class={column.class} title={title}>
        {content}
      </th>
    )
  }
  return (
    <td
      class={[number ? 'n' : column.class, rare && 'rare'].filter(Boolean).join(' ') || undefined}
      data-l={stack && number && content !== '' ? folded : undefined}
      title={title}
    >
      {content}
    </td>
  )
}
