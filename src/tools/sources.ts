import { type Source, sourcesQuestion } from '../core/questions/sources.ts'
import { type SourceState, sourceStates } from '../core/source-state.ts'
import { cursorOfList, itemsFromWire } from '../core/wire-table.ts'
import { clock } from '../platform/clock.ts'
import { print } from '../platform/stdout.ts'
import { askLocalApi, type LocalApi } from './local-api.ts'
import { ageText, grouped, table } from './table.ts'

const pageRows = 1000

/** Prints the sources, by id. @param all retired and replaced ones as well */
export async function printSources(
  api: LocalApi,
  { all, json }: { all: boolean; json: boolean },
): Promise<void> {
  const titles = ['ID', 'STATE', 'WAITING', 'LAST WORD', 'RECEIVED', 'MISSING', 'ACCEPTED']
  const rows: Source[] = []
  for await (const page of pagesOf(api, all ? sourceStates : undefined)) rows.push(...page)
  if (json) {
    const lines = rows.map((row) => `${JSON.stringify(sourcesQuestion.table.toWire(row))}\n`)
    return print(lines.join(''))
  }
  if (rows.length === 0) return print('no sources\n')
  await print(`${table([titles, ...rows.map(toCells)])}\n`)
}

async function* pagesOf(
  api: LocalApi,
  states: readonly SourceState[] | undefined,
): AsyncGenerator<Source[]> {
  let cursor: string | undefined
  do {
    const query = sourcesQuestion.toQuery({ states, limit: pageRows })
    if (cursor !== undefined) query.set('cursor', cursor)
    const json = await askLocalApi(api, `${sourcesQuestion.path}?${query}`)
    yield itemsFromWire(json, sourcesQuestion.table.fromWire)
    cursor = cursorOfList(json)
  } while (cursor !== undefined)
}

function toCells(source: Source): string[] {
  const { id, state, waiting, heardAt, lastSeenAt, received, missing, accepted } = source
  const at = heardAt ?? lastSeenAt
  return [
    id,
    state,
    waiting === null ? 'not known' : grouped(waiting),
    at === null ? 'never' : `${ageText(Math.max(0, (clock.nowMs() - Date.parse(at)) / 1000))} ago`,
    grouped(received),
    grouped(missing),
    grouped(accepted),
  ]
}

type Acceptance = { reason: string; missing: number | undefined; by: string | undefined }

/** Accepts what a source has lost, and says what that was. */
export async function acceptLoss(
  api: LocalApi,
  id: string,
  { json, ...acceptance }: Acceptance & { json: boolean },
): Promise<void> {
  const path = `${sourcesQuestion.path}/${encodeURIComponent(id)}/accept`
  const done = (await askLocalApi(api, path, acceptance)) as {
    accepted: number
    retired: boolean
  }
  if (json) return print(`${JSON.stringify(done)}\n`)
  const retired = done.retired ? '; the source is retired' : ''
  await print(`${grouped(done.accepted)} missing events accepted as lost${retired}\n`)
}
