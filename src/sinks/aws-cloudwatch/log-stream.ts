import { hostname } from 'node:os'
import {
  CloudWatchLogsClient,
  CreateLogGroupCommand,
  CreateLogStreamCommand,
  DescribeLogStreamsCommand,
  PutLogEventsCommand,
} from '@aws-sdk/client-cloudwatch-logs'
import { askAws, explainAwsError, isNamed, makeAwsOptions, readRefusal } from '../aws.ts'
import { judge } from './judge.ts'
import type { Line } from './lines.ts'
import type { Outcome } from './outcome.ts'
import type { Settings } from './settings.ts'

/** A stream of CloudWatch Logs, which is made when it is missing, and its group with it. */
export class LogStream {
  readonly #client: CloudWatchLogsClient
  readonly #names: { logGroupName: string; logStreamName: string }
  readonly close: () => void

  constructor(settings: Settings) {
    const { options, close } = makeAwsOptions(settings)
    this.#client = new CloudWatchLogsClient(options)
    this.close = close
    this.#names = {
      logGroupName: settings.log_group_name,
      logStreamName: (settings.instance_id ?? hostname()).replaceAll(/[:*]/g, '_').slice(0, 512),
    }
  }

  /** Stores the lines of one request. */
  async put(lines: readonly Line[], signal: AbortSignal): Promise<Outcome> {
    try {
      return await this.#put(lines, signal)
    } catch (error) {
      if (error instanceof NotMade) return explainAwsError(error.cause)
      const words = readRefusal(error)
      if (words === undefined) return explainAwsError(error)
      return {
        kind: 'refused',
        refusal: { field: '', detail: `CloudWatch Logs answered ${words}` },
      }
    }
  }

  /** @returns what is wrong; a group that is missing will be made */
  async probe(signal: AbortSignal): Promise<string | undefined> {
    const { logGroupName, logStreamName: logStreamNamePrefix } = this.#names
    const asked = { logGroupName, logStreamNamePrefix, limit: 1 }
    try {
      const options = { abortSignal: signal }
      await askAws(this.#client.send(new DescribeLogStreamsCommand(asked), options), signal)
    } catch (error) {
      return isNamed(error, missing) ? undefined : explainAwsError(error).reason
    }
    return undefined
  }

  async #put(lines: readonly Line[], signal: AbortSignal): Promise<Outcome> {
    const logEvents = lines.map(({ timestamp, message }) => ({ timestamp, message }))
    const send = () => {
      const command = new PutLogEventsCommand({ ...this.#names, logEvents })
      return askAws(this.#client.send(command, { abortSignal: signal }), signal)
    }
    const answer = await send().catch(async (error) => {
      if (!isNamed(error, missing)) throw error
      await this.#make(signal).catch((made) => Promise.reject(new NotMade(made)))
      return send()
    })
    const refused = judge(answer.rejectedLogEventsInfo, lines.length)
    return refused instanceof Map
      ? { kind: 'put', refused: new Map([...refused].map(([at, one]) => [idAt(lines, at), one])) }
      : refused
  }

  /** The group only when the stream needs it: a user may be allowed to make streams alone. */
  async #make(signal: AbortSignal): Promise<void> {
    const { logGroupName } = this.#names
    const options = { abortSignal: signal }
    const makeStream = () =>
      askAws(this.#client.send(new CreateLogStreamCommand(this.#names), options), signal)
    const makeGroup = () =>
      askAws(this.#client.send(new CreateLogGroupCommand({ logGroupName }), options), signal)
    try {
      await makeStream().catch(unlessThere)
    } catch (error) {
      if (!isNamed(error, missing)) throw error
      await makeGroup().catch(unlessThere)
      await makeStream().catch(unlessThere)
    }
  }
}

const missing = 'ResourceNotFoundException'

/** The group or the stream cannot be made, whatever the lines are: no event is to blame. */
class NotMade extends Error {
  constructor(cause: unknown) {
    super('group or stream not made', { cause })
  }
}

function unlessThere(error: unknown): void {
  if (!isNamed(error, 'ResourceAlreadyExistsException')) throw error
}

const idAt = (lines: readonly Line[], at: number): string => lines[at]?.id ?? ''
