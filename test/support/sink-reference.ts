import type * as z from 'zod'
import type { SinkKind } from '../../src/sinks/kind.ts'
import type { Reference, Row } from './reference.ts'

/* What docs/sinks.md must say about the kinds of sinks: made from their list. */

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
      Object.entries(settings.shape).map(([name, field]) => toRow(name, field as z.ZodType)),
    ]),
  )
export const sinkSettingsHead: Row = ['Setting', 'Default', 'Unit', 'Range', 'Meaning']

type About = { description?: string; unit?: string; range?: string; secret?: boolean }
type Wrapped = { unwrap?: () => Wrapped; meta: () => object | undefined }

function toRow(name: string, field: z.ZodType): Row {
  let about: About = {}
  for (let layer: Wrapped | undefined = field; layer; layer = layer.unwrap?.()) {
    about = { ...layer.meta(), ...about }
  }
  const { description = '', unit = '', range = '', secret } = about
  const plainRange = unit && range.endsWith(` ${unit}`) ? range.slice(0, -unit.length - 1) : range
  const meaning = secret ? `${description} Secret.` : description
  return [`\`${name}\``, toDefault(field), unit, plainRange, meaning]
}

function toDefault(field: z.ZodType): string {
  const { success, data } = field.safeParse(undefined)
  if (!success) return 'required'
  return data === undefined ? 'not set' : `\`${data}\``
}
