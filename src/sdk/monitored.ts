import { defaultEmitter } from './emitter.ts'
import type { Emitter } from './event.ts'
import { currentJob, Job, runToEnd } from './job.ts'
import { type JobOptions, pick } from './options.ts'

/**
 * Runs work as a job. It succeeds when the work returns and fails when it throws; value and error
 * come back as they are. Inside the callback of another job it becomes a subjob of that one.
 *
 * Nothing of the monitoring throws into the work, and nothing waits for the network.
 */
export async function monitored<T>(
  options: JobOptions,
  work: (job: Job) => T | PromiseLike<T>,
): Promise<Awaited<T>> {
  return runToEnd(startJob(options), work)
}

/**
 * Starts a job that the caller ends by `finish()`, `fail()` or `cancel()`. With `await using`, a
 * scope that is left without `finish()` was left by an exception, and the job has failed.
 */
export function startJob(options: JobOptions): Job {
  const given = pick(options, 'parent')
  const parent = given === undefined ? currentJob() : given
  const above = asJob(parent)
  const emitter = pick(options, 'emitter')
  return new Job(
    options,
    above ? above.identity : parent,
    isEmitter(emitter) ? emitter : (above?.emitter ?? defaultEmitter()),
  )
}

/**
 * A function that does the same as `fn` and reports each call as a job: sync stays sync, a promise
 * is followed to its end. `options` may be computed from the arguments.
 */
export function wrap<This, Args extends unknown[], Result>(
  options: JobOptions | ((...args: Args) => JobOptions),
  fn: (this: This, ...args: Args) => Result,
): (this: This, ...args: Args) => Result {
  function wrapped(this: This, ...args: Args): Result {
    const job = startJob(typeof options === 'function' ? computed(options, args) : options)
    return follow(job, () => fn.apply(this, args))
  }
  for (const key of ['name', 'length'] as const) {
    Object.defineProperty(wrapped, key, { value: fn[key], configurable: true })
  }
  return wrapped
}

function follow<Result>(job: Job, call: () => Result): Result {
  let result: Result
  try {
    result = job.run(call)
  } catch (error) {
    job.fail(error)
    throw error
  }
  if (result instanceof Promise) return runToEnd(job, () => result) as Result
  job.finish()
  return result
}

/** Options that throw are a fault of the monitoring, not of the work. */
function computed<Args extends unknown[]>(make: (...args: Args) => JobOptions, args: Args) {
  try {
    return make(...args)
  } catch {
    return {}
  }
}

/** By its looks: it may come from the other copy of this SDK, of `import` and `require`. */
function asJob(value: unknown): Job | undefined {
  try {
    const job = value as Job
    return job.identity.entity.id ? job : undefined
  } catch {
    return undefined
  }
}

function isEmitter(value: unknown): value is Emitter {
  return typeof (value as Partial<Emitter> | undefined)?.send === 'function'
}
