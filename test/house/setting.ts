import type { Addition } from '../support/house.ts'

/** A number, which `wafermon up` passes on, and a folder, which it does not. */
export const setting: Addition = {
  thing: 'a setting',
  written: {
    'src/spool/settings.ts': [
      {
        find: 'MAX_BATCH_SIZE: wholeNumber(',
        replace: `FIXTURE_EVERY_S: number('How often the fixture runs.', {
    ...{ min: 1, max: 60, standard: 7, unit: 's' },
  }),
  FIXTURE_DIR: text('Folder of the fixture.', { place: true }).default('/var/lib/fixture'),
  MAX_BATCH_SIZE: wholeNumber(`,
      },
    ],
  },
}
