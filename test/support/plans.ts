import type postgres from 'postgres'
import type { Operation, Pool, Sql, Store } from '../../src/store/connect.ts'

/** The work of PostgreSQL for one question, from EXPLAIN (ANALYZE, BUFFERS). */
export type Plan = {
  /** The comment that the question begins with. */
  name: string
  /** Rows looked at: those that scans gave, and those that their filters threw away. */
  rows: number
  /** Pages read, from memory or disk. */
  buffers: number
  ms: number
  /** Each scan: its kind, and the index or table. */
  scans: string[]
}

type Node = {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Actual Rows': number
  'Actual Loops': number
  'Rows Removed by Filter'?: number
  'Rows Removed by Index Recheck'?: number
  'Shared Hit Blocks'?: number
  'Shared Read Blocks'?: number
  Plans?: Node[]
}

/** A store that explains every question before it asks it, and the plans so far. */
export function explaining(store: Pool): { store: Store; plans: Plan[] } {
  const plans: Plan[] = []
  const explain = async (question: (sql: Sql) => postgres.PendingQuery<never[]>) => {
    const { sql } = store
    const [row] = await sql`explain (analyze, buffers, format json) ${question(sql)}`
    const [{ Plan: top, 'Execution Time': ms }] = row!['QUERY PLAN']
    plans.push({ name: await nameOf(store, question), ...summaryOf(top), ms })
  }
  const ask = async (op: Operation, question: never, signal?: AbortSignal) => {
    await explain(question)
    return store.ask(op, question, signal)
  }
  return { store: { ...store, ask: ask as Store['ask'] }, plans }
}

/** The name in the comment at the head of a statement; the driver tells the text once it is sent. */
async function nameOf(store: Pool, question: (sql: Sql) => postgres.PendingQuery<never[]>) {
  const described = await question(store.sql).describe()
  return /\/\* (\S+) \*\//.exec(described.string)?.[1] ?? described.string.slice(0, 60)
}

function summaryOf(top: Node): Omit<Plan, 'name' | 'ms'> {
  const scans: string[] = []
  let rows = 0
  const visit = (node: Node) => {
    const on = node['Index Name'] ?? node['Relation Name']
    if (on) {
      scans.push(`${node['Node Type']}:${on}`)
      const each =
        node['Actual Rows'] +
        (node['Rows Removed by Filter'] ?? 0) +
        (node['Rows Removed by Index Recheck'] ?? 0)
      rows += each * node['Actual Loops']
    }
    for (const child of node.Plans ?? []) visit(child)
  }
  visit(top)
  const buffers = (top['Shared Hit Blocks'] ?? 0) + (top['Shared Read Blocks'] ?? 0)
  return { rows: Math.round(rows), buffers, scans: [...new Set(scans)] }
}
