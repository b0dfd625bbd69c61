import { pino } from 'pino'
import { startEmbedded } from '../../src/embedded-postgres/server.ts'

/* A parent for an embedded server, made to be killed; the folder is its argument. */

const server = await startEmbedded({ dir: process.argv[2] ?? '', log: pino({ level: 'silent' }) })
process.send?.({ url: server.url })
setInterval(() => {}, 60_000)
