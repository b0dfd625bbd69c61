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
    addresses.push('[::]:8000', '[::ffff:10.1.2.3]', '[::ffff:7f00:1]:8000', '[2001:DB8::7]:443')
    for (const host of [...ours, ...addresses, `${hostname()}:8000`, undefined]) {
      assert.doesNotThrow(() => open().checkHost(host), host)
    }
    const others = [
      'evil.example',
      'evil.example:8000',
      'localhost.evil.example',
      '127.0.0.1.nip.io',
    ]
    const bad = [
      '[evil]',
      '[::1].evil.example',
      '[::1',
      '[1.2.3.4]',
      '[::ffff:10.1.2.300]',
      '1.2.3',
    ]
    for (const host of [...others, ...bad, 'evil.example.', '']) {
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
      { host: '[::1]:8501', origin: 'http://[::1]:8501' },
      { host: '[::ffff:7f00:1]:8501', origin: 'http://[::ffff:7f00:1]:8501' },
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
      { host: '[::1]:8000', origin: 'http://[::2]:8000' },
      { host: 'localhost:8000', 'sec-fetch-site': 'cross-site', origin: 'http://localhost:8000' },
    ]
    for (const headers of foreign) {
      assert.throws(() => postFrom(open(), headers), refused('origin'), JSON.stringify(headers))
    }
  })
})

describe('the type of a body', () => {
  test('is JSON in any of its forms, or not given', () => {
    for (const type of [
      undefined,
      '',
      'application/json',
      'Application/JSON; charset=utf-8',
      'application/json;charset=text/plain',
      ...['ndjson', 'x-ndjson', 'jsonl', 'x-jsonlines', 'json-lines', 'json-seq'].map(
        (name) => `application/${name}`,
      ),
      'text/json',
      'application/cloudevents-batch+json',
      'application/geo+json-seq',
    ]) {
      assert.doesNotThrow(() => checkJsonType(type), type)
    }
  })

  test('is never one that a page may send without asking, and the refusal says what to send', () => {
    for (const type of [
      'text/plain',
      'text/plain;charset=UTF-8',
      'text/plain; x=application/json',
      'text/plain, application/json',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=json',
      'text/jsonp',
      'application/javascript',
      'json',
      'application/octet-stream',
    ]) {
      const wanted = (error: unknown) =>
        refused('content-type')(error) &&
        /-H 'content-type: application\/json'/.test((error as AppError).message)
      assert.throws(() => checkJsonType(type), wanted, type)
    }
  })
})
