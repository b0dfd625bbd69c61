import { Auth } from '../../src/platform/auth.ts'
import { Callers } from '../../src/platform/callers.ts'

/** The callers of a role without tokens. */
export const anyCallers = new Callers({ names: [], listensOn: '127.0.0.1', isOpen: true })

/** One of them. */
export const anyone = new Auth({ anonymous: [] }).admit('ingest', () => undefined)
