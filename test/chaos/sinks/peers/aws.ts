import { pages, type Reply } from '../peer.ts'

/* What stand-ins for AWS share. */

export const answerHeaders = {
  'content-type': 'application/x-amz-json-1.1',
  'x-amzn-requestid': '0193581e-7c42-7d10-9a35-6f0c41c2b7e8',
}

/** An empty object with the id of a request is what AWS says when all is taken; a proxy has no such id. */
export const garbageOf = (...odd: string[]): readonly Reply[] => [
  ...[...pages, '[1,2,3]', ...odd].map((body) => ({ status: 200, body })),
  { status: 200, body: '{}', headers: { 'content-type': 'application/json' } },
]
