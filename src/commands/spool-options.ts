import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Sidecar } from '../tools/sidecar.ts'
import { type ConfigFlags, configOption, readSidecar, sidecarOption } from './options.ts'

/* What the commands of a spool share. */

export type SpoolFlags = ConfigFlags & { url?: string; dir?: string; json?: boolean }

/** A command that talks to a sidecar that runs, or opens the spool of one that is stopped. */
export const withSpool = (command: Command): Command =>
  command
    .addOption(sidecarOption())
    .addOption(
      new Option('--dir <folder>', 'spool folder of a sidecar that is stopped').conflicts('url'),
    )
    .addOption(configOption())

export const sinkOption = () => new Option('--sink <name>', 'this sink alone')

/** Does it with the sidecar, or with the spool in the folder in its place. */
export async function openSpool<T>(
  flags: SpoolFlags,
  act: (sidecar: Sidecar) => Promise<T>,
): Promise<T> {
  if (flags.dir === undefined) return act(await readSidecar('spool', flags))
  const { openStopped } = await import('../roles/stopped-spool.ts')
  const stopped = openStopped(flags.dir)
  try {
    return await act(stopped.sidecar)
  } finally {
    stopped.close()
  }
}

export function toWhole(text: string): number {
  const n = Number(text)
  if (/^\d+$/.test(text) && n >= 1 && n <= Number.MAX_SAFE_INTEGER) return n
  throw new InvalidArgumentError('It must be a whole number, 1 or more.')
}

/** Events that were carried over from a damaged spool have numbers below 1. */
export function toSeq(text: string): number {
  const n = Number(text)
  if (/^-?\d+$/.test(text) && Number.isSafeInteger(n)) return n
  throw new InvalidArgumentError('It must be the number of an event, as in the list.')
}
