import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isUuid } from '../../src/core/uuid.ts'

const form = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

describe('the form of a UUID', () => {
  test('is what the usual pattern says, whatever stands in one place', () => {
    const mixed = fc.tuple(fc.uuid(), fc.boolean(), fc.nat(36), fc.string({ maxLength: 2 }))
    fc.assert(
      fc.property(mixed, ([id, isUpper, at, instead]) => {
        const whole = isUpper ? id.toUpperCase() : id
        const text = whole.slice(0, at) + instead + whole.slice(at + instead.length)
        assert.equal(isUuid(text), form.test(text), text)
        assert.equal(isUuid(whole), true)
      }),
    )
  })

  test('has no braces, no other letters and no digits of other scripts', () => {
    const id = 'c0ffee00-0000-0000-0000-000000000001'
    assert.equal(isUuid(id), true)
    const others = ['', `{${id}}`, id.replaceAll('-', ''), id.replace('f', 'g'), `${id} `]
    for (const text of [...others, id.replace('1', '\u0661'), id.replace('-', '_')]) {
      assert.equal(isUuid(text), false, text)
    }
  })
})
