/**
 * The program of the worker, as text: so it needs no file beside the bundle. It loads the module, and
 * answers one batch after the other. What is wrong in the module ends the batch, or the worker. Of its answers no
 * more leaves the worker than an answer may have.
 */
export const workerText = `
const { parentPort, workerData } = require('node:worker_threads')
const opened = import(workerData.url).then(async (module) => {
  if (typeof module.open !== 'function') throw new Error('it exports no function named open')
  const sink = await module.open(workerData.options)
  if (typeof sink?.deliver !== 'function') throw new Error('its open returns no object with a function deliver')
  return sink
})
opened.catch(() => {})
const cut = (value) => (typeof value === 'string' ? value.slice(0, 8192) : value)
const cutVerdict = (verdict) =>
  typeof verdict === 'object' && verdict !== null
    ? { field: cut(verdict.field), detail: cut(verdict.detail) }
    : cut(verdict)
const trim = (answer, count) => {
  if (typeof answer !== 'object' || answer === null) return cut(answer)
  const { kind, verdicts, state, reason, retryAfterMs, permanent } = answer
  const all = { kind: cut(kind), state: cut(state), reason: cut(reason), retryAfterMs, permanent }
  const rest = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
  if (!Array.isArray(verdicts)) return rest
  if (verdicts.length !== count) throw new Error(verdicts.length + ' verdicts on ' + count + ' events')
  return { ...rest, verdicts: Array.from(verdicts, cutVerdict) }
}
const answer = async ({ id, batch }) => {
  try {
    const sink = await opened
    parentPort.postMessage({ id, answer: trim(await sink.deliver(batch), batch.length) })
  } catch (error) {
    parentPort.postMessage({ id, error: String(error?.message ?? error).slice(0, 300) })
  }
}
parentPort.on('message', answer)
`
