import assert from 'node:assert/strict'
import { hostname } from 'node:os'
import { describe, test } from 'node:test'
import { AppError } from '../../src/core/errors.ts'
import { Callers, type CallersOptions, checkJsonType } from '../../src/platform/callers.ts'

const open = (more: Partial<CallersOptions> = {}) =>
  new Callers({ names: [], listensOn: '127.0.0.1', isOpen: true, ...more })

const refused = (field: string) => (error: unknown) =>
  error instanceof AppError && error.field === field

const postFrom = (callers: Callers, headers: Record<string, string>) =>
  callers.checkOrigin((name) => headers[name])

describe('the Host of a request', () => {
  test('names this machine, or the role is not meant', () => {
    const ours = [
      'localhost',
      'localhost:8000',
      'LOCALHOST.',
      'wafermon.localhost:8501',
      'sidecar:8000',
    ]
    const addresses = ['127.0.0.1', '127.0.0.1:8000', '[::1]:18000', '10.1.2.3:1', '[fe80::1]']
    for (const host of [...ours, ...addresses, `${hostname()}:8000`, undefined]) {
      assert.doesNotThrow(() => open().checkHost(host), host)
    }
    const others = [
      'evil.example',
      'evil.example:8000',
      'localhost.evil.example',
      '127.0.0.1.nip.io',
    ]
    for (const host of [...others, '[evil]', 'evil.example.', '']) {
      assert.throws(() => open().checkHost(host), refused('host'), host)
    }
  })

  test('may be a configured name, or the name that the role listens on', () => {
    const callers = open({ names: ['api.fab1'], listensOn: 'node7.fab1' })
    for (const host of ['api.fab1:80', 'API.fab1', 'node7.fab1']) callers.checkHost(host)
    assert.throws(() => callers.checkHost('other.fab1'), /ALLOWED_HOSTS/)
  })

  test('may be any name where everything needs a token, unless names are configured', () => {
    open({ isOpen: false }).checkHost('api.fab1')
    assert.throws(
      () => open({ isOpen: false, names: ['api.fab1'] }).checkHost('evil.example'),
      refused('host'),
    )
  })
})

describe('a request that changes something', () => {
  test('comes from a program or from a page of the same origin', () => {
    const fine: Record<string, string>[] = [
      { host: 'localhost:8000' },
      { host: 'localhost:8000', origin: 'http://localhost:8000' },
      { host: 'localhost:8000', 'sec-fetch-site': 'same-origin', origin: 'http://localhost:8000' },
      { 'sec-fetch-site': 'none' },
      { host: '127.0.0.1:8501', origin: 'https://wafermon.fab1' },
    ]
    for (const headers of fine) postFrom(open({ names: ['wafermon.fab1'] }), headers)
  })

  test('does not come from a page of another origin', () => {
    const foreign: Record<string, string>[] = [
      { host: 'localhost:8000', 'sec-fetch-site': 'cross-site' },
      // Another port of this machine.
      { host: 'localhost:8000', 'sec-fetch-site': 'same-site' },
      { host: 'localhost:8000', origin: 'http://localhost:3000' },
      { host: 'localhost:8000', origin: 'http://evil.example' },
      { host: 'localhost:8000', origin: 'null' },
      { host: 'localhost:8000', origin: '' },
      { host: 'localhost:8000', 'sec-fetch-site': 'cross-site', origin: 'http://localhost:8000' },
    ]
    for (const headers of foreign) {
      assert.throws(() => postFrom(open(), headers), refused('origin'), JSON.stringify(headers))
    }
  })
})

test('a page sends JSON, and says so; programs are taken at their body', () => {
  const check = (type: string | undefined, page: Record<string, string>) =>
    checkJsonType((name) => (name === 'content-type' ? type : page[name]))
  const json = ['application/json', 'Application/JSON; charset=utf-8', 'application/x-ndjson']
  const forms = ['application/x-www-form-urlencoded', 'multipart/form-data; boundary=json']
  const other = ['text/plain', 'text/plain; x=application/json', ...forms]
  const pages = [{ origin: 'http://localhost' }, { 'sec-fetch-site': 'same-origin' }]
  for (const page of pages) {
    for (const type of [undefined, '', ...json, 'application/jsonl', 'application/json-seq']) {
      assert.doesNotThrow(() => check(type, page), type)
    }
    for (const type of other) assert.throws(() => check(type, page), refused('content-type'), type)
  }
  for (const type of [undefined, ...json, ...other]) {
    assert.doesNotThrow(() => check(type, { 'sec-fetch-mode': 'cors' }), type)
  }
})
