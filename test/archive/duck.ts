import { DuckDBInstance } from '@duckdb/node-api'

/** Runs statements in one DuckDB; the rows of the last one, with values as JSON has them. */
export async function duck(...statements: string[]): Promise<Record<string, unknown>[]> {
  const connection = await (await DuckDBInstance.create()).connect()
  try {
    await connection.run(`set timezone = 'UTC'`)
    for (const statement of statements.slice(0, -1)) await connection.run(statement)
    const reader = await connection.runAndReadAll(statements.at(-1) ?? '')
    return reader.getRowObjectsJson() as Record<string, unknown>[]
  } finally {
    connection.closeSync()
  }
}
