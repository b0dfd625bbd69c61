/*
 * What a run did not test, and why: the last lines of `npm test`. The runner's own summary counts only
 * tests that are skipped one by one; a skipped group, such as all that needs TimescaleDB, is none to it.
 */
// biome-ignore lint/style/noDefaultExport: the runner takes the default export of a reporter
export default async function* reportSkipped(events) {
  const groups = new Map()
  for await (const { type, data } of events) {
    if (type !== 'test:pass' || data.skip === undefined) continue
    const why = typeof data.skip === 'string' ? data.skip : 'no reason given'
    const what = data.details?.type === 'suite' ? 'group' : 'test'
    const found = groups.get(why) ?? []
    groups.set(why, [...found, `${what} "${data.name}"`])
  }
  const all = [...groups.values()].flat()
  if (all.length === 0) {
    yield '\nNothing was skipped.\n'
    return
  }
  const count = (word) => all.filter((name) => name.startsWith(word)).length
  yield `\nSkipped: ${count('group')} groups of tests and ${count('test')} single tests\n`
  for (const [why, names] of groups) {
    yield `  ${why}\n`
    for (const name of names) yield `    ${name}\n`
  }
}
