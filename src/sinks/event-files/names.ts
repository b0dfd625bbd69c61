import { fromMs } from '../../core/time.ts'
import type { FileSettings } from './settings.ts'

/*
 * The names of the files of a sink. Nothing of an event is ever part of a name.
 *
 *   open_7_20261126_19.csv            being written: the seventh file of this folder
 *   wafer_events_20261126_19.csv      finished
 *   wafer_events_20261126_19.2.csv    the second one of that hour
 *   wafer_events_20261126_19.csv.gz   finished and compressed; .gz.partial while that goes on
 *   .wafer_events_csv                 what was finished last, and which names were given
 *   .wafer_events_csv.lock            the process that writes here
 */

export type Extension = 'csv' | 'jsonl'

/** A file that is being written. */
export type OpenName = { serial: number; period: string }

export const openName = ({ serial, period }: OpenName, extension: Extension): string =>
  `open_${serial}_${period}.${extension}`

/** @returns undefined for the name of something else */
export function parseOpenName(name: string, extension: Extension): OpenName | undefined {
  const found = /^open_(\d{1,15})_(\d{8}(?:_\d\d)?|events)\.(\w+)$/.exec(name)
  if (!found || found[3] !== extension) return undefined
  return { serial: Number(found[1]), period: found[2] ?? '' }
}

/** @param number from 1, of the files of that period */
export const finishedName = (period: string, number: number, extension: Extension): string =>
  `wafer_events_${period}${number === 1 ? '' : `.${number}`}.${extension}`

export const recordName = (extension: Extension): string => `.wafer_events_${extension}`

/** The hour or day of a time, as names have it; the same word for ever where neither matters. */
export function periodOf(ms: number, rotation: FileSettings['rotation']): string {
  if (rotation === 'none') return 'events'
  const text = fromMs(ms)
  const day = text.slice(0, 10).replaceAll('-', '')
  return rotation === 'daily' ? day : `${day}_${text.slice(11, 13)}`
}
