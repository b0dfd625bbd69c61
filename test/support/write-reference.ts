import { readFileSync, writeFileSync } from 'node:fs'
import { markdownOf, references, withReference } from './reference.ts'

/* Brings the tables in docs/ up to date. */
for (const { file, name, rows, head } of await references()) {
  writeFileSync(file, withReference(readFileSync(file, 'utf8'), name, markdownOf(rows, head)))
}
