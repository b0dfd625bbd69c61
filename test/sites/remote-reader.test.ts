import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { AppError, type ErrorCode } from '../../src/core/errors.ts'
import type { JobFilter } from '../../src/core/job.ts'
import { appsQuestion } from '../../src/core/questions/apps.ts'
import { runningQuestion } from '../../src/core/questions/running.ts'
import { sourcesQuestion } from '../../src/core/questions/sources.ts'
import { statsQuestion } from '../../src/core/questions/stats.ts'
import { type RemoteOptions, remoteReader } from '../../src/sites/remote-reader.ts'
import { emptyWorld } from '../support/array-reader.ts'
import { startFakeApi } from '../support/fake-api.ts'
import { addLot, aJob, fillShift, someSources } from '../support/sample-jobs.ts'

const now = '2026-03-01T12:00:00.000000Z'
const all: JobFilter = {
  from: '2026-02-28T00:00:00.000000Z',
  time: 'started',
  order: 'desc',
  limit: 100,
}
const patient = () => AbortSignal.timeout(10_000)

/** A real server that answers as it is told, and counts what it was asked. */
async function aServer(t: TestContext, listener: RequestListener) {
  const sockets = new Set<Socket>()
  const server: Server = createServer(listener)
  server.on('connection', (socket) => sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const readerOf = (baseUrl: string, options: Partial<RemoteOptions> = {}) =>
  remoteReader({ baseUrl, timeoutMs: 300, ...options })

/** The code and the words of the failure of a call that must fail. */
async function failureOf(call: Promise<unknown>): Promise<{ code: ErrorCode; message: string }> {
  const error = await call.then(
    () => assert.fail('it answered'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof AppError, String(error))
  return { code: error.code, message: error.message }
}

describe('remoteReader', () => {
  test('asks an older site again without the parameter that it does not know', async (t) => {
    const api = await startFakeApi(
      t,
      emptyWorld(() => now),
    )
    const paths: string[] = []
    const url = await aServer(t, async (request, response) => {
      const path = request.url ?? ''
      paths.push(path)
      if (!path.includes('archive=')) {
        const answer = await fetch(api.url + path)
        response.writeHead(answer.status, { 'content-type': 'application/json' })
        response.end(await answer.text())
        return
      }
      const detail = 'archive: unknown parameter; this path takes from, to'
      response.writeHead(422, { 'content-type': 'application/problem+json' })
      response.end(JSON.stringify({ status: 422, detail, field: 'archive' }))
    })
    const page = await readerOf(url, { timeoutMs: 5000 }).findJobs(
      { ...all, archive: true },
      patient(),
    )
    assert.equal(page.completeness.archive, 'off')
    assert.equal(paths.length, 2)
    assert.equal(paths[1], paths[0]?.replace('&archive=true', ''))
  })

  test('reads back what the API of a site writes, to the last field', async (t) => {
    const world = emptyWorld(() => now)
    fillShift(world, now, 120)
    const lot = addLot(world, now)
    world.sources = someSources(now)
    const api = await startFakeApi(t, world)
    const reader = readerOf(`${api.url}/`, { timeoutMs: 5000 })

    const first = await reader.findJobs(all, patient())
    assert.equal(first.items.length, 100)
    assert.deepEqual(
      first.items[0],
      world.jobs.find(({ id }) => id === first.items[0]!.id),
    )
    assert.deepEqual(first.completeness.gaps, [{ source: 'bn-05', from: 310_114, to: 310_120 }])
    const rest = await reader.findJobs({ ...all, cursor: first.nextCursor! }, patient())
    assert.equal(rest.items.length, 21)
    assert.equal(rest.nextCursor, null)

    const found = await reader.getJob(lot.id, patient())
    assert.deepEqual(found?.job, lot)
    assert.equal(found?.subjobs.total, 25)
    const { items } = await reader.findSubjobs({ ...all, jobId: lot.id }, patient())
    assert.equal(items.length, 25)
    assert.equal(items[0]?.parentId, lot.id)
    assert.equal(items[0]?.entityType, 'subjob')
    assert.equal(
      (await reader.findEvents(lot.id, { order: 'desc', limit: 3 }, patient())).items.length,
      3,
    )
    assert.deepEqual(await reader.ask(sourcesQuestion, {}, patient()), world.sources)
    assert.ok(
      (await reader.ask(appsQuestion, {}, patient())).some(({ name }) => name === 'lot-move'),
    )
    const stats = await reader.ask(
      statsQuestion,
      { from: all.from, bucket: 'day', groupBy: ['status'] },
      patient(),
    )
    assert.equal(
      stats.reduce((sum, { count }) => sum + count, 0),
      121,
    )
    world.omissions = { running: { cut: true } }
    const { partial, cut } = await reader.askPage(runningQuestion, {}, patient())
    assert.deepEqual([partial, cut], [true, true])
    world.sources = []
    assert.equal((await reader.askPage(runningQuestion, {}, patient())).partial, undefined)
    assert.equal((await reader.health(patient())).status, 'ok')
  })

  test('passes every filter on', async (t) => {
    const asked: URLSearchParams[] = []
    const url = await aServer(t, (request, response) => {
      asked.push(new URL(request.url!, 'http://x').searchParams)
      response.statusCode = 404
      response.end()
    })
    const filter: JobFilter = {
      ...all,
      to: now,
      status: ['failed', 'canceled'],
      appName: 'a&b',
      exactApp: 'A&B',
      appVersion: '2+1',
      q: 'L 1',
      minDurationS: 0.5,
      maxDurationS: 9,
      site: 'fab2',
    }
    await failureOf(readerOf(url).findJobs(filter, patient()))
    await failureOf(readerOf(url, { site: 'fab3' }).ask(appsQuestion, {}, patient()))
    const { from, to, status, app_name, q, min_duration_s, max_duration_s, site, limit } =
      Object.fromEntries(asked[0]!)
    assert.deepEqual(
      { from, to, status, app_name, q, min_duration_s, max_duration_s, site, limit },
      {
        from: all.from,
        to: now,
        status: 'failed,canceled',
        app_name: 'a&b',
        q: 'L 1',
        min_duration_s: '0.5',
        max_duration_s: '9',
        site: 'fab2',
        limit: '100',
      },
    )
    assert.deepEqual(
      ['exact_app', 'app_version'].map((name) => asked[0]?.get(name)),
      ['A&B', '2+1'],
    )
    assert.equal(asked[1]?.get('site'), 'fab3')
  })

  test('answers undefined for an unknown job', async (t) => {
    const url = await aServer(t, (_, response) => {
      response.statusCode = 404
      response.end('{"type":"urn:wafermon:problem:not_found"}')
    })
    assert.equal(await readerOf(url).getJob(aJob().id, patient()), undefined)
  })

  const wrongAnswers: [name: string, answer: RequestListener, words: RegExp][] = [
    ['never answers', () => {}, /did not answer within 0.3 s/],
    [
      'stops in the middle',
      (_, response) => {
        response.writeHead(200, { 'content-length': 100 })
        response.write('{"items": [')
        setImmediate(() => response.destroy())
      },
      /stopped before the end of its answer/,
    ],
    [
      'sends a byte now and then',
      (_, response) => {
        response.writeHead(200)
        const timer = setInterval(() => response.write(' '), 50)
        response.on('close', () => clearInterval(timer))
      },
      /did not answer within/,
    ],
    ['hangs up', (request) => request.socket.destroy(), /cannot be reached/],
    ['sends a page', (_, response) => response.end('<html>welcome</html>'), /not JSON/],
    ['sends nothing', (_, response) => response.end(), /not JSON/],
    ['sends null', (_, response) => response.end('null'), /unexpected/],
    ['sends a list', (_, response) => response.end('[1,2]'), /unexpected/],
    [
      'sends other items',
      (_, response) => response.end('{"items":[{}],"next_cursor":null}'),
      /unexpected/,
    ],
    [
      'sends a cursor that is none',
      (_, response) => response.end('{"items":[],"next_cursor":"x","completeness":{}}'),
      /unexpected/,
    ],
    [
      'sends too much',
      (_, response) => response.end(`{"items":[],"more":"${'x'.repeat(20_000)}"}`),
      /sent more than 10000 bytes/,
    ],
    [
      'sends us elsewhere',
      (_, response) => {
        response.writeHead(302, { location: 'http://127.0.0.1:1/' })
        response.end()
      },
      /redirects to http:\/\/127\.0\.0\.1:1 \(302\)/,
    ],
    [
      'is broken itself',
      (_, response) => {
        response.writeHead(503)
        response.end('{"detail":"the database is away"}')
      },
      /answered 503: the database is away/,
    ],
    [
      'refuses the token',
      (_, response) => {
        response.writeHead(401)
        response.end('{}')
      },
      /rejects our token \(401\)/,
    ],
  ]
  for (const [name, answer, words] of wrongAnswers) {
    test(`fails in words when the other side ${name}`, async (t) => {
      const reader = readerOf(await aServer(t, answer), { maxBytes: 10_000 })
      const { code, message } = await failureOf(reader.findJobs(all, patient()))
      assert.equal(code, 'unreachable')
      assert.match(message, words)
    })
  }

  test('fails in words when the connection is refused, without the secrets of the address', async () => {
    const reader = readerOf(`http://127.0.0.1:1/secret-path`, { token: 'wfm_secret' })
    const { code, message } = await failureOf(reader.ask(appsQuestion, {}, patient()))
    assert.equal(code, 'unreachable')
    assert.match(message, /127\.0\.0\.1:1 cannot be reached/)
    assert.doesNotMatch(message, /secret/)
  })

  test('passes the rejection of a question on, with the field', async (t) => {
    const url = await aServer(t, (_, response) => {
      response.writeHead(422)
      response.end('{"detail":"from: must be before to","field":"from"}')
    })
    const error = await readerOf(url)
      .findJobs(all, patient())
      .catch((reason: unknown) => reason)
    assert.ok(error instanceof AppError)
    assert.deepEqual(
      [error.code, error.field, error.message],
      ['invalid', 'from', 'from: must be before to'],
    )
  })

  test('ends with the reason of a caller who leaves', async (t) => {
    const url = await aServer(t, () => controller.abort(new Error('closed the page')))
    const controller = new AbortController()
    const call = readerOf(url, { timeoutMs: 5000 }).findJobs(all, controller.signal)
    await assert.rejects(call, /closed the page/)
  })

  test('sends the token', async (t) => {
    let sent: string | undefined
    const url = await aServer(t, (request, response) => {
      sent = request.headers.authorization
      response.end('{"items":[]}')
    })
    await readerOf(url, { token: 'wfm_x' }).ask(appsQuestion, {}, patient())
    assert.equal(sent, 'Bearer wfm_x')
  })
})

describe('remoteReader.follow', () => {
  const collect = async (
    stream: AsyncGenerator<{ id: string; event: string; data: string }>,
    most: number,
  ) => {
    const messages = []
    for await (const message of stream) {
      messages.push(message)
      if (messages.length === most) break
    }
    return messages
  }

  test('hands on events and heartbeats, however the bytes are cut', async (t) => {
    const text =
      ': hi\r\n\r\nid: 7\r\nevent: started\r\ndata: {"a":\r\ndata: "ü"}\r\n\r\nid: 8\nevent: reset\ndata: \n\n'
    const url = await aServer(t, (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      const bytes = [...Buffer.from(text)]
      const next = () => {
        const byte = bytes.shift()
        if (byte !== undefined) response.write(Buffer.from([byte]), () => setImmediate(next))
      }
      next()
    })
    const messages = await collect(
      readerOf(url, { timeoutMs: 5000 }).follow(undefined, patient()),
      3,
    )
    assert.deepEqual(messages, [
      { id: '', event: 'comment', data: 'hi' },
      { id: '7', event: 'started', data: '{"a":\n"ü"}' },
      { id: '8', event: 'reset', data: '' },
    ])
  })

  test('resumes where it was', async (t) => {
    let sent: unknown
    const url = await aServer(t, (request, response) => {
      sent = request.headers['last-event-id']
      response.end(': x\n\n')
    })
    await collect(readerOf(url).follow('41', patient()), 1)
    assert.equal(sent, '41')
  })

  const breaks: [name: string, answer: RequestListener, words: RegExp][] = [
    ['ends', (_, response) => response.end(': x\n\n'), /ended the stream/],
    [
      'is cut',
      (_, response) => void response.write(': x\n\n', () => response.destroy()),
      /stopped before the end of its answer/,
    ],
    ['falls silent', (_, response) => void response.write(': x\n\n'), /sent nothing for 0.2 s/],
    [
      'never ends a line',
      (_, response) => void response.write('x'.repeat(1_100_000)),
      /a line of the stream is too long/,
    ],
    [
      'is refused',
      (_, response) => {
        response.statusCode = 503
        response.end()
      },
      /answered 503/,
    ],
  ]
  for (const [name, answer, words] of breaks) {
    test(`fails in words when the stream ${name}`, async (t) => {
      const reader = readerOf(await aServer(t, answer), { maxSilenceMs: 200 })
      const { code, message } = await failureOf(collect(reader.follow(undefined, patient()), 99))
      assert.equal(code, 'unreachable')
      assert.match(message, words)
    })
  }

  test('ends quietly when the reader stops', async (t) => {
    const url = await aServer(t, (_, response) => void response.write(': x\n\n'))
    const controller = new AbortController()
    let seen = 0
    for await (const _ of readerOf(url).follow(undefined, controller.signal)) {
      seen++
      controller.abort()
    }
    assert.equal(seen, 1)
  })
})
