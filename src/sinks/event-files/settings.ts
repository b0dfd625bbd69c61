import { choice, flag, text, wholeNumber } from '../../platform/settings/kinds.ts'

/** The settings of every sink that writes files. */
export const fileSettings = () => ({
  output_dir: text(
    'Folder of the files; made when it is not there. No other sink or sidecar writes in it.',
  ),
  rotation: choice(
    'When a new file begins, by the time of writing in UTC.',
    ['daily', 'hourly', 'none'],
    'daily',
  ),
  max_bytes: wholeNumber(
    'A new file begins before this size is passed, whatever `rotation` says.',
    {
      ...{ min: 65_536, max: 2 ** 40, standard: 100_000_000, unit: 'bytes' },
    },
  ),
  compression: flag('Compress a file by gzip once it is finished.', false),
})

export type FileSettings = {
  output_dir: string
  rotation: 'daily' | 'hourly' | 'none'
  max_bytes: number
  compression: boolean
}
