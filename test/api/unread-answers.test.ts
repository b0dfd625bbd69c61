import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { pino } from 'pino'
import type { JobReader } from '../../src/core/job.ts'
import { Lifecycle } from '../../src/platform/lifecycle.ts'
import { listen } from '../../src/platform/listen.ts'
import { arrayReader, emptyWorld } from '../support/array-reader.ts'
import { until } from '../support/processes.ts'
import { fillShift } from '../support/sample-jobs.ts'
import { noon, readApp } from './read-app.ts'

/* Long answers that are asked for and not read stay in the memory of a role. */

test('answers that one caller does not read are bounded together, and make room when it goes', async (t) => {
  const world = emptyWorld(() => noon)
  fillShift(world, noon, 500)
  const heavy = { metadata: { text: 'x'.repeat(32_000) } }
  world.jobs = world.jobs.map((job) => ({ ...job, ...heavy }))
  const life = new Lifecycle(pino({ level: 'silent' }))
  t.after(() => life.stop(30))
  // What was found and is not written yet takes memory as well: nothing is asked for without room.
  let asked = 0
  const inner = arrayReader(world)
  const reader: JobReader = {
    ...inner,
    findJobs: (filter, signal) => {
      asked++
      return inner.findJobs(filter, signal)
    },
  }
  const { app } = readApp({ world, reader, auth: { anonymous: ['read'] } })
  const url = await listen(app, { host: '127.0.0.1', port: 0 }, life)

  const said: string[] = []
  const sockets: Socket[] = []
  t.after(() => {
    for (const socket of sockets) socket.destroy()
  })
  const askAndWait = () => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    sockets.push(socket)
    socket.on('error', () => {})
    socket.write('GET /v1/jobs?limit=1000 HTTP/1.1\r\nHost: x\r\n\r\n')
    socket.once('data', (data: Buffer) => {
      socket.pause()
      said.push(data.toString('latin1', 9, 12))
    })
  }
  // Of 16 MB each; what is on its way in sockets does not count.
  const many = 24
  for (let n = 0; n < many; n++) askAndWait()
  await until('an answer to each', () => said.length === many)
  const refused = said.filter((status) => status === '503').length
  assert.ok(refused > 0 && refused < many, said.join(' '))
  assert.equal(asked, many - refused)

  for (const socket of sockets.splice(0)) socket.destroy()
  const answer = await fetch(`${url}/v1/jobs?limit=1000`)
  assert.equal(answer.status, 200)
  const { count } = (await answer.json()) as { count: number }
  assert.equal(count, world.jobs.length)
})
