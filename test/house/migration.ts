import type { Addition } from '../support/house.ts'

/** A table. Its number is the last one that there can be, so that it is the next one for long. */
export const migration: Addition = {
  thing: 'a migration',
  written: { 'sql/migrations/9999_fixture.sql': 'create table fixture (n int primary key);\n' },
}
