import { readFileSync, writeFileSync } from 'node:fs'
import { engineFiles } from './engine-sql.ts'
import { markdownOf, withReference } from './reference.ts'
import { allReferences } from './references.ts'

/* Brings the tables in docs/, and the files for engines in sql/archive, up to date. */
for (const { file, name, rows, head } of await allReferences()) {
  writeFileSync(file, withReference(readFileSync(file, 'utf8'), name, markdownOf(rows, head)))
}
for (const [file, text] of engineFiles()) writeFileSync(file, text)
