// A sink of your own: {"type": "module", "name": "...", "config": {"path": "module-sink.mjs", "options": {"file": "..."}}}
import { appendFile } from 'node:fs/promises'

/** Called once a start of the worker, with the `options` of the entry. */
export async function open({ file }) {
  return {
    /**
     * Takes events, the first one first. `body` is the event as JSON.
     * The answer has a verdict for each of them, in their order: 'taken' once it is safe, 'later', or
     * {field, detail} for an event that will never be taken. Or {kind: 'failed', reason} for all.
     */
    async deliver(batch) {
      const verdicts = []
      const lines = []
      for (const { body } of batch) {
        const { event, app } = JSON.parse(body)
        if (app.name === '') verdicts.push({ field: 'app.name', detail: 'is empty' })
        else verdicts.push('taken')
        lines.push(`${event.at} ${app.name} ${event.kind}\n`)
      }
      await appendFile(file, lines.join(''), { flush: true })
      return { kind: 'judged', verdicts }
    },
  }
}
