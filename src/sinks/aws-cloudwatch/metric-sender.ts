import {
  CloudWatchClient,
  ListMetricsCommand,
  PutMetricDataCommand,
} from '@aws-sdk/client-cloudwatch'
import { askAws, explainAwsError, makeAwsOptions, readRefusal } from '../aws.ts'
import { type MetricRequest, MetricRequests } from './metric-data.ts'
import type { Outcome } from './outcome.ts'
import type { Settings } from './settings.ts'

/** The metrics of a namespace. */
export class MetricSender {
  readonly requests: MetricRequests
  readonly #client: CloudWatchClient
  readonly #namespace: string
  readonly close: () => void

  constructor(settings: Settings) {
    const { options, close } = makeAwsOptions(settings)
    this.#client = new CloudWatchClient(options)
    this.close = close
    this.#namespace = settings.namespace
    const { compute_platform, instance_id } = settings
    this.requests = new MetricRequests({ compute_platform, instance_id })
  }

  async put({ data }: MetricRequest, signal: AbortSignal): Promise<Outcome> {
    const command = new PutMetricDataCommand({ Namespace: this.#namespace, MetricData: [...data] })
    try {
      await askAws(this.#client.send(command, { abortSignal: signal }), signal)
      return { kind: 'put', refused: new Map() }
    } catch (error) {
      const words = readRefusal(error)
      if (words === undefined) return explainAwsError(error)
      return { kind: 'refused', refusal: { field: '', detail: `CloudWatch answered ${words}` } }
    }
  }

  async probe(signal: AbortSignal): Promise<string | undefined> {
    const command = new ListMetricsCommand({ Namespace: this.#namespace })
    try {
      await askAws(this.#client.send(command, { abortSignal: signal }), signal)
      return undefined
    } catch (error) {
      return explainAwsError(error).reason
    }
  }
}
