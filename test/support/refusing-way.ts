import { createServer, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

/** A way to a local API on which one path may be answered otherwise. */
export type RefusingWay = {
  url: string
  /** The paths that were asked for, in order. */
  asked: string[]
  /** Answers requests of this path with this status, and no other; undefined: hands all on. */
  refuse(path: string | undefined, status?: number): void
}

/** Hands every request on to a local API, unless told to refuse it. */
export async function startRefusingWay(
  t: Pick<TestContext, 'after'>,
  to: string,
): Promise<RefusingWay> {
  let refused: { path: string | undefined; status: number } = { path: undefined, status: 503 }
  const asked: string[] = []
  const server = createServer((given, answer) => {
    const path = given.url ?? ''
    asked.push(path)
    if (path === refused.path) {
      given.resume()
      given.once('end', () => answer.writeHead(refused.status).end())
      return
    }
    const { method, headers } = given
    const { host: _, ...others } = headers
    const sent = send(new URL(path, to), { method, headers: others, agent: false })
    sent.once('response', (got) => {
      answer.writeHead(got.statusCode ?? 502, got.headers)
      got.pipe(answer)
    })
    sent.once('error', () => answer.destroy())
    given.pipe(sent)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  t.after(() => server.close())
  t.after(() => server.closeAllConnections())
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    refuse: (path, status = 503) => {
      refused = { path, status }
    },
  }
}
