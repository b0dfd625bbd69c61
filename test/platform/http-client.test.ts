import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import {
  HttpClient,
  type HttpClientOptions,
  readRetryAfter,
} from '../../src/platform/http-client.ts'
import { HttpFailure, type HttpFailureKind } from '../../src/platform/http-failure.ts'

/** The address of a server on a free port; the test takes it down with all of its connections. */
async function serve(t: TestContext, server: Server, scheme = 'http') {
  const sockets = new Set<Socket>()
  let opened = 0
  server.on('connection', (socket: Socket) => {
    opened++
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as { port: number }
  return { url: `${scheme}://127.0.0.1:${port}`, sockets, opened: () => opened }
}

const http = (t: TestContext, listener: RequestListener) => serve(t, createServer(listener))

/** A server that answers every connection with these bytes, and then closes it. */
const raw = (t: TestContext, bytes: string) =>
  serve(
    t,
    createTcpServer((socket) => socket.once('data', () => socket.end(bytes))),
  )

function clientOf(t: TestContext, baseUrl: string, options: Partial<HttpClientOptions> = {}) {
  const client = new HttpClient({ baseUrl, timeoutMs: 300, maxBytes: 1000, ...options })
  t.after(() => client.close())
  return client
}
/** For answers that must come, however busy the machine is. */
const patient = { timeoutMs: 20_000 }

async function drained(stream: ReadableStream<Uint8Array>): Promise<void> {
  for await (const _ of stream);
}

async function failureOf(call: Promise<unknown>): Promise<HttpFailure> {
  const error = await call.then(
    () => assert.fail('it answered'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof HttpFailure, String(error))
  return error
}

const tlsFile = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../support/tls/${name}`, import.meta.url)))
const endless = (response: {
  write(text: string): boolean
  on(e: 'close', f: () => void): void
}) => {
  const timer = setInterval(() => response.write('x'.repeat(300)), 1)
  response.on('close', () => clearInterval(timer))
}

describe('an exchange over HTTP', () => {
  test('sends what it is given, and hands the answer over', async (t) => {
    let asked: IncomingMessage | undefined
    let sent = ''
    const { url } = await http(t, async (request, response) => {
      asked = request
      for await (const chunk of request) sent += chunk
      response.writeHead(201, { 'set-cookie': ['a=1', 'b=2'], 'retry-after': '7' })
      response.end('grüße')
    })
    const client = clientOf(t, `${url}/under/`, {
      ...patient,
      headers: { authorization: 'Bearer x' },
    })
    const answer = await client.ask({
      method: 'POST',
      path: '/v1?q=1',
      body: 'ü',
      headers: { a: 'b' },
    })
    assert.deepEqual([asked?.method, asked?.url, sent], ['POST', '/under/v1?q=1', 'ü'])
    assert.deepEqual(
      ['authorization', 'a', 'content-length', 'accept-encoding'].map((n) => asked?.headers[n]),
      ['Bearer x', 'b', '2', 'identity'],
    )
    const { status, ok, permanent, retryAfterMs, headers, body } = answer
    assert.deepEqual([status, ok, permanent, retryAfterMs], [201, true, false, 7000])
    assert.equal(headers['set-cookie'], 'a=1, b=2')
    assert.equal(body.toString(), 'grüße')
  })

  test('reads answers in pieces, and those of HTTP/1.0', async (t) => {
    const chunked = await http(t, (_, response) => {
      response.write('one ')
      response.end('two')
    })
    assert.equal(
      String((await clientOf(t, chunked.url, patient).ask({ path: '/' })).body),
      'one two',
    )
    const old = await raw(t, 'HTTP/1.0 200 OK\r\n\r\nold')
    assert.equal(String((await clientOf(t, old.url, patient).ask({ path: '/' })).body), 'old')
  })

  test('uses a connection again', async (t) => {
    const { url, opened } = await http(t, (_, response) => void response.end('x'))
    const client = clientOf(t, url, patient)
    for (let i = 0; i < 5; i++) await client.ask({ path: '/' })
    assert.equal(opened(), 1)
  })

  test('asks once more when a kept connection was closed as it asked', async (t) => {
    const asked: string[] = []
    const server = createTcpServer((socket) => {
      let requests = 0
      socket.on('data', (data) => {
        asked.push(String(data).slice(0, 4))
        // The second request on a connection meets its end, as when the other side was restarted.
        if (++requests > 1) socket.resetAndDestroy()
        else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx')
      })
    })
    const { url } = await serve(t, server)
    const client = clientOf(t, url, patient)
    await client.ask({ path: '/' })
    await client.ask({ path: '/' })
    assert.deepEqual(asked, ['GET ', 'GET ', 'GET '])
    const failure = await failureOf(client.ask({ method: 'POST', path: '/', body: 'x' }))
    assert.match(failure.message, /cannot be reached \(ECONNRESET\)/)
    assert.equal(asked.filter((line) => line === 'POST').length, 1)
  })

  test('ends with the reason of a caller that leaves', async (t) => {
    const gone = new AbortController()
    const { url } = await http(t, () => gone.abort(new Error('left')))
    await assert.rejects(clientOf(t, url, patient).ask({ path: '/' }, gone.signal), /^Error: left$/)
    await assert.rejects(clientOf(t, url).ask({ path: '/' }, gone.signal), /^Error: left$/)
  })

  test('ends every exchange when the client is closed', async (t) => {
    const { url } = await http(t, () => client.close())
    const client = clientOf(t, url, patient)
    assert.equal((await failureOf(client.ask({ path: '/' }))).kind, 'unreachable')
  })

  test('does not ask once more after it was closed', async (t) => {
    let asked = 0
    const { url } = await http(t, (_, response) => {
      if (++asked === 1) response.end('x')
      else client.close()
    })
    const client = clientOf(t, url, patient)
    await client.ask({ path: '/' })
    assert.equal((await failureOf(client.ask({ path: '/' }))).kind, 'unreachable')
    assert.equal(asked, 2)
  })
})

type Bad = [
  what: string,
  serve: (t: TestContext) => Promise<{ url: string }>,
  kind: HttpFailureKind,
  permanent: boolean,
  words: RegExp,
]
const bad: Bad[] = [
  [
    'refuses the connection',
    async () => ({ url: 'http://127.0.0.1:1' }),
    'unreachable',
    false,
    /^cannot be reached \(ECONNREFUSED\)$/,
  ],
  [
    'hangs up before it answers',
    (t) =>
      serve(
        t,
        createTcpServer((socket) => void socket.once('data', () => socket.destroy())),
      ),
    'unreachable',
    false,
    /^cannot be reached \(ECONNRESET\)$/,
  ],
  [
    'hangs up in the middle of the body',
    (t) => raw(t, 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf'),
    'garbled',
    false,
    /^stopped before the end of its answer \(ECONNRESET\)$/,
  ],
  [
    'resets the connection in the middle of a chunk',
    (t) =>
      http(t, (_, response) => {
        response.write('half', () => setImmediate(() => response.socket?.resetAndDestroy()))
      }),
    'garbled',
    false,
    /^stopped before the end of its answer \(ECONNRESET\)$/,
  ],
  ['takes the request in silence', (t) => http(t, () => {}), 'timeout', false, /within 0\.3 s$/],
  [
    'takes the connection in silence',
    (t) => serve(t, createTcpServer()),
    'timeout',
    false,
    /^did not answer within 0\.3 s$/,
  ],
  [
    'drips a byte now and then',
    (t) =>
      http(t, (_, response) => {
        const timer = setInterval(() => response.write('x'), 20)
        response.on('close', () => clearInterval(timer))
      }),
    'timeout',
    false,
    /^did not answer within 0\.3 s$/,
  ],
  [
    'drips headers',
    (t) =>
      serve(
        t,
        createTcpServer((socket) => {
          socket.write('HTTP/1.1 200 OK\r\n')
          const timer = setInterval(() => socket.write('a: b\r\n'), 20)
          socket.on('close', () => clearInterval(timer))
        }),
      ),
    'timeout',
    false,
    /^did not answer within 0\.3 s$/,
  ],
  [
    'never ends its answer',
    (t) => http(t, (_, response) => endless(response)),
    'too_large',
    true,
    /^sent more than 1000 bytes$/,
  ],
  [
    'redirects',
    (t) =>
      http(t, (_, response) => {
        response.writeHead(302, { location: 'https://other.example/?secret=1' }).end()
      }),
    'redirect',
    true,
    /^redirects to https:\/\/other\.example \(302\)$/,
  ],
  [
    'redirects within itself',
    (t) => http(t, (_, response) => void response.writeHead(308, { location: '/login' }).end()),
    'redirect',
    true,
    /^redirects to another address \(308\)$/,
  ],
  [
    'does not speak HTTP',
    (t) => raw(t, 'SSH-2.0-OpenSSH_9.2\r\n'),
    'garbled',
    false,
    /^answered with something that is not HTTP \(HPE_/,
  ],
  [
    'garbles its chunks',
    (t) => raw(t, 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nbody\r\n'),
    'garbled',
    false,
    /^(stopped before the end of its answer|answered with something that is not HTTP) \(/,
  ],
  [
    'compresses what was not asked for',
    (t) =>
      http(t, (_, response) => {
        response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('x'))
      }),
    'garbled',
    false,
    /^answered with the encoding gzip, which was not requested$/,
  ],
  [
    'is not the authority that is trusted',
    (t) => {
      const tls = { cert: tlsFile('server.pem'), key: tlsFile('server.key') }
      return serve(
        t,
        createTlsServer(tls, (_, response) => void response.end()),
        'https',
      )
    },
    'tls',
    true,
    /^cannot be reached \((UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_)/,
  ],
  [
    'does not speak TLS',
    async (t) => ({
      url: (await http(t, (_, response) => void response.end())).url.replace('http:', 'https:'),
    }),
    'tls',
    true,
    /^cannot be reached \((EPROTO|ERR_SSL_)/,
  ],
]

describe('an exchange fails in words, and says whether waiting helps, when the other side', () => {
  for (const [what, server, kind, permanent, words] of bad) {
    test(what, async (t) => {
      const { url } = await server(t)
      const timeoutMs = kind === 'timeout' ? 300 : 20_000
      const failure = await failureOf(
        clientOf(t, url, { timeoutMs }).ask({ path: '/secret?secret' }),
      )
      assert.match(failure.message, words)
      assert.deepEqual([failure.kind, failure.permanent], [kind, permanent])
      assert.doesNotMatch(failure.message, /secret/)
    })
  }
})

describe('over TLS', () => {
  test('the own authority is trusted, and the own certificate shown', async (t) => {
    const ca = tlsFile('authority.pem')
    const server = createTlsServer(
      { cert: tlsFile('server.pem'), key: tlsFile('server.key'), ca, requestCert: true },
      (_, response) => void response.end('in'),
    )
    const { url } = await serve(t, server, 'https')
    const own = { ca, cert: tlsFile('client.pem'), key: tlsFile('client.key') }
    assert.equal((await clientOf(t, url, { ...patient, tls: own }).ask({ path: '/' })).status, 200)
    await failureOf(clientOf(t, url, { ...patient, tls: { ca } }).ask({ path: '/' }))
  })
})

describe('a proxy', () => {
  test('is used when the environment that was handed over names one', async (t) => {
    const asked: (string | undefined)[] = []
    const proxy = await http(t, ({ url }, response) => {
      asked.push(url)
      response.end('by proxy')
    })
    const target = await http(t, (_, response) => void response.end('direct'))
    const ask = async (options: Partial<HttpClientOptions>) =>
      String((await clientOf(t, target.url, { ...patient, ...options }).ask({ path: '/x' })).body)
    assert.equal(await ask({ proxyEnv: { http_proxy: proxy.url } }), 'by proxy')
    assert.deepEqual(asked, [`${target.url}/x`])
    assert.equal(
      await ask({ proxyEnv: { http_proxy: proxy.url, no_proxy: '127.0.0.1' } }),
      'direct',
    )
    assert.equal(await ask({}), 'direct')
  })
})

describe('a streamed answer', () => {
  const opened = async (client: HttpClient, signal?: AbortSignal) => {
    const answer = await client.open({ path: '/' }, signal)
    assert.ok('stream' in answer)
    return answer.stream
  }

  test('has no deadline once its headers are there, and no limit of size', async (t) => {
    let pieces = 0
    const { url } = await http(t, (_, response) => {
      const timer = setInterval(() => {
        if (pieces++ < 20) response.write('x'.repeat(100))
        else response.end()
      }, 20)
      response.on('close', () => clearInterval(timer))
    })
    const client = clientOf(t, url, { maxSilenceMs: 20_000 })
    let size = 0
    for await (const chunk of await opened(client)) size += chunk.byteLength
    assert.equal(size, 2000)
  })

  test('is given up when it falls silent', async (t) => {
    const { url } = await http(t, (_, response) => void response.write('x'))
    const stream = await opened(clientOf(t, url, { ...patient, maxSilenceMs: 100 }))
    const failure = await failureOf(drained(stream))
    assert.deepEqual([failure.kind, failure.message], ['silent', 'sent nothing for 0.1 s'])
  })

  test('is not taken for whole when it breaks', async (t) => {
    const { url } = await http(t, (_, response) => {
      response.write('x', () => setImmediate(() => response.destroy()))
    })
    const failure = await failureOf(drained(await opened(clientOf(t, url, patient))))
    assert.equal(failure.kind, 'garbled')
  })

  test('ends with the reason of a caller that leaves', async (t) => {
    const { url } = await http(t, (_, response) => void response.write('x'))
    const gone = new AbortController()
    const stream = await opened(clientOf(t, url, patient), gone.signal)
    const reading = drained(stream)
    gone.abort(new Error('left'))
    await assert.rejects(reading, /^Error: left$/)
  })

  test('closes its connection when its reader cancels, also before the first piece', async (t) => {
    const closed = Promise.withResolvers<void>()
    const { url } = await http(t, (_, response) => {
      response.on('close', closed.resolve)
      response.flushHeaders()
    })
    await (await opened(clientOf(t, url, patient))).cancel()
    await closed.promise
  })

  test('is read no faster than it is taken', async (t) => {
    let left = 1000
    const { url } = await http(t, (_, response) => {
      const fill = () => {
        while (left > 0 && response.write(Buffer.alloc(65_536))) left--
      }
      response.on('drain', fill)
      fill()
    })
    const reader = (await opened(clientOf(t, url, patient))).getReader()
    await reader.read()
    // Enough turns for all of it, were it read ahead.
    for (let turn = 0; turn < 5000; turn++) await new Promise(setImmediate)
    assert.ok(left > 0, 'all of it was read')
    await reader.cancel()
  })

  test('that is an error is read whole', async (t) => {
    const { url } = await http(t, (_, response) => void response.writeHead(503).end('away'))
    const answer = await clientOf(t, url, patient).open({ path: '/' })
    assert.ok('body' in answer)
    assert.deepEqual([answer.status, String(answer.body)], [503, 'away'])
  })

  test('has its headers within the deadline', async (t) => {
    const { url } = await http(t, () => {})
    assert.equal((await failureOf(clientOf(t, url).open({ path: '/' }))).kind, 'timeout')
  })
})

describe('an answer says', () => {
  for (const [status, permanent] of [
    [200, false],
    [400, true],
    [401, true],
    [404, true],
    [408, false],
    [413, true],
    [422, true],
    [429, false],
    [500, false],
    [501, true],
    [503, false],
  ] as const) {
    test(`${status}: ${permanent ? 'asking again is of no use' : 'asking again may help'}`, async (t) => {
      const { url } = await http(t, (_, response) => void response.writeHead(status).end())
      assert.equal((await clientOf(t, url, patient).ask({ path: '/' })).permanent, permanent)
    })
  }

  const now = Date.parse('2026-03-01T12:00:00Z')
  const waits: [string | undefined, number | undefined][] = [
    [undefined, undefined],
    ['3', 3000],
    ['0.5', 500],
    ['0', undefined],
    ['-3', undefined],
    ['soon', undefined],
    ['', undefined],
    ['99999999999', 300_000],
    ['Sun, 01 Mar 2026 12:00:30 GMT', 30_000],
    ['Sunday, 01-Mar-26 12:00:30 GMT', 30_000],
    ['Sun, 01 Mar 2026 11:59:30 GMT', undefined],
    ['Sun, 01 Mar 2099 12:00:30 GMT', 300_000],
  ]
  for (const [text, ms] of waits) {
    test(`Retry-After ${JSON.stringify(text)}: ${ms ?? 'nothing'}`, () => {
      assert.equal(readRetryAfter(text, 300_000, now), ms)
    })
  }
})
