import type * as z from 'zod'
import { csvColumns, documentFields } from '../../src/core/event-columns.ts'
import { eventMetrics, metricLabels } from '../../src/core/event-metrics.ts'
import { spanAttributes } from '../../src/core/event-span.ts'
import { valueRules } from '../../src/core/event-values.ts'
import { describeSetting } from '../../src/platform/settings/describe.ts'
import { entrySchema, filterSchema } from '../../src/sinks/entry.ts'
import type { SinkKind } from '../../src/sinks/kind.ts'
import type { Reference, Row } from './reference.ts'

/* The tables of docs/INTEGRATIONS.md about the kinds of sinks, made from their list. */

/** Every kind: name, where it delivers, its limits, whether it keeps the order of a job's events. */
export const sinkKindsReference = (kinds: readonly SinkKind[]): Reference =>
  new Map([
    [
      'Kinds of sinks',
      kinds.map(({ type, about, limits, ordered }): Row => {
        const { events, bytes } = limits
        return [`\`${type}\``, about, `${events}`, `${bytes}`, ordered ? 'yes' : 'no']
      }),
    ],
  ])
export const sinkKindsHead: Row = [
  'Kind',
  'Delivers to',
  'Maximum events in a batch',
  'Maximum bytes in a batch',
  'Keeps the order of a job',
]

/** The settings of every kind. */
export const sinkSettingsReference = (kinds: readonly SinkKind[]): Reference =>
  new Map(
    kinds.map(({ type, settings }) => [
      `Settings of ${type}`,
      Object.keys(settings.shape).map((name) => toRow(settings, name)),
    ]),
  )
/** The fields of an entry, and those of its filter. */
export const entryReference = (): Reference =>
  new Map([
    ['Fields of an entry', Object.keys(entrySchema.shape).map((name) => toRow(entrySchema, name))],
    [
      'Fields of a filter',
      Object.keys(filterSchema.shape).map((name) => toRow(filterSchema, name)),
    ],
  ])

/** How an event looks at its destinations, column by column. */
export const columnsReference = (): Reference => {
  type Column = { name: string; about: string }
  const rows = (columns: readonly Column[], prefix = '') =>
    columns.map(({ name, about }): Row => [`\`${prefix}${name}\``, about])
  return new Map([
    ['Columns of csv', rows(csvColumns)],
    ['Fields of a document of elk and of a line of aws_cloudwatch', rows(documentFields)],
    ['Metrics of aws_cloudwatch', rows(eventMetrics)],
    ['Dimensions of the metrics of aws_cloudwatch', rows(metricLabels)],
    ['Attributes of a span of otlp', rows(spanAttributes, 'wafermon.')],
    [
      'Values of zabbix, by the kind of event',
      Object.entries(valueRules).map(([kind, { about }]): Row => [`\`${kind}\``, about]),
    ],
  ])
}
export const columnsHead: Row = ['Column', 'Meaning']

export const sinkSettingsHead: Row = ['Setting', 'Default', 'Unit', 'Range', 'Meaning']

function toRow(schema: z.ZodObject, name: string): Row {
  const { description, unit, range, secret, standard, required } = describeSetting(schema, name)
  const plainRange = unit && range.endsWith(` ${unit}`) ? range.slice(0, -unit.length - 1) : range
  const shown = typeof standard === 'object' ? JSON.stringify(standard) : standard
  const usual = required ? 'required' : shown === undefined ? 'not set' : `\`${shown}\``
  return [`\`${name}\``, usual, unit, plainRange, secret ? `${description} Secret.` : description]
}
