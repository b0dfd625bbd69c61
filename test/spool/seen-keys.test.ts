import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Event } from '../../src/core/event.ts'
import { fromMicros } from '../../src/core/time.ts'
import { toKey } from '../../src/spool/seen-keys.ts'

describe('the key of an event', () => {
  test('is its reported time and its idempotency key, byte for byte', () => {
    // Spools on disk hold such keys: another form would take repeats for new events.
    const us = fc.bigInt({ min: 0n, max: 253_402_300_799_999_999n })
    fc.assert(
      fc.property(fc.uuid(), us, us, fc.boolean(), (id, at, reported, corrected) => {
        const wanted = Buffer.alloc(24)
        wanted.writeBigInt64BE(corrected ? reported : at, 0)
        wanted.write(id.replaceAll('-', ''), 8, 16, 'hex')
        const event = {
          at: fromMicros(at),
          ...(corrected ? { reported_at: fromMicros(reported) } : {}),
        }
        assert.deepEqual(toKey({ idempotency_key: id, event } as Event), wanted)
      }),
      { numRuns: 2000 },
    )
  })
})
