import { readFileSync, writeFileSync } from 'node:fs'
import { markdownOf, withReference } from './reference.ts'
import { allReferences } from './references.ts'

/* Brings the tables in docs/ up to date. */
for (const { file, name, rows, head } of await allReferences()) {
  writeFileSync(file, withReference(readFileSync(file, 'utf8'), name, markdownOf(rows, head)))
}
