import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { assertDelivery, type Outgoing, type Sink } from '../../core/delivery.ts'
import type { SinkContext } from '../kind.ts'
import type { Settings } from './settings.ts'
import { workerText } from './worker-text.ts'

/*
 * A sink whose code is the user's. It runs in a worker with memory of its own, so that whatever it does (it
 * throws, hangs, loops, uses up its memory, ends its process) is a failure of this sink and of nothing else. Its
 * answers are checked like those of any sink.
 */

/** Memory of the worker's heap, in MiB. */
const maxHeapMib = 256

type Message = { id: number; answer?: unknown; error?: string }

export function openModule(settings: Settings, { log }: SinkContext): Sink {
  const { timeout } = settings
  let worker: Worker | undefined
  let last = 0

  const start = (): Worker => {
    const url = pathToFileURL(resolve(settings.path)).href
    const started = new Worker(workerText, {
      eval: true,
      workerData: { url, options: settings.options },
      resourceLimits: { maxOldGenerationSizeMb: maxHeapMib },
      // The environment and the streams of the sidecar are not the module's.
      env: {},
      stdin: false,
      stdout: true,
      stderr: true,
    })
    started.unref()
    started.stdout.resume()
    started.stderr.resume()
    started.on('error', (error) => log.warn({ error }, 'the worker of a sink failed'))
    started.on('exit', () => {
      if (worker === started) worker = undefined
    })
    return started
  }
  const end = async () => {
    const ended = worker
    worker = undefined
    await ended?.terminate()
  }

  return {
    async deliver(batch, signal) {
      worker ??= start()
      const id = ++last
      const answer = await ask(worker, { id, batch, signal, timeoutMs: timeout * 1000 })
      if ('gone' in answer) await end()
      if ('reason' in answer) return { kind: 'failed', reason: answer.reason }
      assertDelivery(answer.answer, batch.length)
      return answer.answer
    },
    close: end,
  }
}

type Question = {
  id: number
  batch: readonly Outgoing[]
  signal: AbortSignal
  timeoutMs: number
}
type Answer = { answer: unknown } | { reason: string } | { reason: string; gone: true }

/** Hands a batch to the worker. Never throws. */
function ask(worker: Worker, { id, batch, signal, timeoutMs }: Question): Promise<Answer> {
  return new Promise((settle) => {
    const done = (answer: Answer) => {
      clearTimeout(timer)
      worker.off('message', onMessage).off('exit', onExit).off('error', onError)
      signal.removeEventListener('abort', onAbort)
      settle(answer)
    }
    const gone = (reason: string) => done({ reason, gone: true })
    const onMessage = ({ id: of, answer, error }: Message) => {
      if (of !== id) return
      done(error === undefined ? { answer } : { reason: `the module failed: ${error}` })
    }
    const onExit = () => gone('the worker of the module ended')
    const onError = (error: Error) => gone(`the worker of the module failed: ${error.message}`)
    const onAbort = () => gone('stopping')
    const timer = setTimeout(
      () => gone(`the module did not answer within ${timeoutMs / 1000} s`),
      timeoutMs,
    )
    worker.on('message', onMessage).on('exit', onExit).on('error', onError)
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) return onAbort()
    worker.postMessage({ id, batch: batch.map(({ seq, body }) => ({ seq, body })) })
  })
}
