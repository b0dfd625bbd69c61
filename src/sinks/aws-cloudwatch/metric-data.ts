import { metricLabels } from '../../core/event-metrics.ts'
import type { Line } from './lines.ts'

/*
 * The metrics of ended jobs, joined: those of the same name, labels and minute are values of one datum, because
 * CloudWatch keeps no finer time and takes up to 150 values a datum.
 */

const maxData = 1000
const maxValues = 150
/** A request has at most 1 MB; what a datum and a value take is overestimated. */
const maxBytes = 1_000_000
const [datumBytes, valueBytes] = [200, 40]
/** Names of apps that are told apart; every combination of labels costs. */
const maxApps = 100
/** Maximum length of the value of a dimension. */
const maxDimension = 1024
/** Smaller magnitudes are refused. */
const leastValue = 2 ** -360
const minute = 60_000

export type Datum = {
  MetricName: string
  Unit: 'Count' | 'Seconds' | 'Megabytes'
  Timestamp: Date
  Dimensions: { Name: string; Value: string }[]
  Values: number[]
  Counts: number[]
}

export type MetricRequest = { data: readonly Datum[]; lines: readonly Line[] }

/** Makes requests of the metrics of lines; each line is in one request, with all of its metrics. */
export class MetricRequests {
  readonly #apps = new Set<string>()
  readonly #fixed: Datum['Dimensions']

  /** @param fixed labels that all metrics have besides */
  constructor(fixed: Readonly<Record<string, string | undefined>>) {
    this.#fixed = Object.entries(fixed).flatMap(([Name, Value]) =>
      Value === undefined ? [] : { Name, Value },
    )
  }

  make(lines: readonly Line[]): MetricRequest[] {
    const requests: { joined: Joined; lines: Line[] }[] = []
    for (const line of lines) {
      const dimensions = this.#toDimensions(line)
      let last = requests.at(-1)
      if (!last?.joined.hasRoom(line, dimensions)) {
        last = { joined: new Joined(), lines: [] }
        requests.push(last)
      }
      last.joined.add(line, dimensions)
      last.lines.push(line)
    }
    return requests.map(({ joined, lines: of }) => ({ data: joined.data, lines: of }))
  }

  #toDimensions({ event }: Line): Datum['Dimensions'] {
    const found = metricLabels.flatMap(({ name, read }) => {
      const value = read(event)
      if (value === undefined || value === '') return []
      return { Name: name, Value: toDimension(name === 'app_name' ? this.#cap(value) : value) }
    })
    return [...found, ...this.#fixed]
  }

  #cap(app: string): string {
    if (this.#apps.has(app)) return app
    if (this.#apps.size >= maxApps) return 'other'
    this.#apps.add(app)
    return app
  }
}

/** The data of one request. */
class Joined {
  readonly data: Datum[] = []
  readonly #open = new Map<string, Datum>()
  #bytes = 0

  /** Whatever of it joins others, so much it needs at most. */
  hasRoom({ measurements }: Line, dimensions: Datum['Dimensions']): boolean {
    const most = measurements.length * (sizeOf(dimensions) + valueBytes)
    return this.data.length + measurements.length <= maxData && this.#bytes + most <= maxBytes
  }

  add({ measurements, timestamp }: Line, dimensions: Datum['Dimensions']): void {
    const Timestamp = new Date(Math.floor(timestamp / minute) * minute)
    for (const { name, unit, value } of measurements) {
      const key = JSON.stringify([name, Timestamp, dimensions])
      let datum = this.#open.get(key)
      if (datum === undefined || datum.Values.length >= maxValues) {
        datum = {
          MetricName: name,
          Unit: unit,
          Timestamp,
          Dimensions: dimensions,
          Values: [],
          Counts: [],
        }
        this.#open.set(key, datum)
        this.data.push(datum)
        this.#bytes += sizeOf(dimensions)
      }
      this.#bytes += addValue(datum, Math.abs(value) < leastValue ? 0 : value)
    }
  }
}

/** @returns the bytes that it adds */
function addValue({ Values, Counts }: Datum, value: number): number {
  const at = Values.indexOf(value)
  if (at >= 0) {
    Counts[at] = (Counts[at] ?? 0) + 1
    return 0
  }
  Values.push(value)
  Counts.push(1)
  return valueBytes
}

const sizeOf = (dimensions: Datum['Dimensions']) =>
  datumBytes + dimensions.reduce((sum, { Name, Value }) => sum + Name.length + Value.length + 40, 0)

/** CloudWatch takes ASCII alone in values of dimensions; all else is written as in a URL. */
export function toDimension(text: string): string {
  const ascii = text
    .toWellFormed()
    .replaceAll(/[^ -~]|%|^ *$/gu, (part) => (part === '' ? '%' : encodeURIComponent(part)))
  return ascii.slice(0, maxDimension)
}
