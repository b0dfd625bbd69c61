import type * as z from 'zod'
import { describeSetting } from '../../src/platform/settings/describe.ts'
import type { SinkKind } from '../../src/sinks/kind.ts'
import type { Reference, Row } from './reference.ts'

/* The tables of docs/sinks.md about the kinds of sinks, made from their list. */

/** Every kind: name, where it delivers, its limits, what it does when the spool is full. */
export const sinkKindsReference = (kinds: readonly SinkKind[]): Reference =>
  new Map([
    [
      'Kinds of sinks',
      kinds.map(({ type, about, limits, whenFull }): Row => {
        const { events, bytes } = limits
        return [`\`${type}\``, about, `${events}`, `${bytes}`, whenFull]
      }),
    ],
  ])
export const sinkKindsHead: Row = [
  'Kind',
  'Delivers to',
  'Maximum events in a batch',
  'Maximum bytes in a batch',
  'When the spool is full',
]

/** The settings of every kind. */
export const sinkSettingsReference = (kinds: readonly SinkKind[]): Reference =>
  new Map(
    kinds.map(({ type, settings }) => [
      `Settings of ${type}`,
      Object.keys(settings.shape).map((name) => toRow(settings, name)),
    ]),
  )
export const sinkSettingsHead: Row = ['Setting', 'Default', 'Unit', 'Range', 'Meaning']

function toRow(schema: z.ZodObject, name: string): Row {
  const { description, unit, range, secret, standard, required } = describeSetting(schema, name)
  const plainRange = unit && range.endsWith(` ${unit}`) ? range.slice(0, -unit.length - 1) : range
  const usual = required ? 'required' : standard === undefined ? 'not set' : `\`${standard}\``
  return [`\`${name}\``, usual, unit, plainRange, secret ? `${description} Secret.` : description]
}
