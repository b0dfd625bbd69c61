import { withQuery } from '../../../views/urls.ts'
import { isFromOurPages, readAddress, readVisitor } from '../access.ts'
import { respondMessage } from '../respond.tsx'
import type { Visit } from '../visit.ts'

/* What the forms have in common by which a person changes what the plant's data says. */

/** Maximum characters that the API keeps of who did it. */
const mostWho = 100

/** Who did it: first what we know, then what was typed, marked as such and cut to what room is left. */
export function nameWho({ c }: Visit, by: string): string {
  const visitor = readVisitor(c)
  const token = visitor.kind === 'anonymous' ? [] : [`token ${visitor.id} of the dashboard`]
  const known = [...token, readAddress(c)].join(', ').slice(0, mostWho)
  const name = [...by.replaceAll(/[“”]/g, '"')].slice(0, mostWho - known.length - 10).join('')
  return name === '' ? known : `${known}, says “${name}”`
}

/**
 * Undefined for a visitor who may operate, and whose form comes from our pages; the way to sign in for one
 * who may only look.
 */
export function refuseVisitor(
  visit: Visit,
  title: string,
  /** Where to go on after a form that was refused. */
  page: string,
): Promise<Response> | undefined {
  if (readVisitor(visit.c).mayOperate) return refuseForeign(visit, title)
  const { pathname, search } = new URL(visit.c.req.url)
  const next = visit.c.req.method === 'GET' ? pathname + search : page
  return respondMessage(
    visit,
    403,
    title,
    'This needs a token with the scope operate: sign in with one.',
    { href: withQuery('/sign-in', { scope: 'operate', next }), text: 'Sign in' },
  )
}

function refuseForeign(visit: Visit, title: string): Promise<Response> | undefined {
  if (visit.c.req.method !== 'POST' || isFromOurPages(visit.c)) return undefined
  return respondMessage(visit, 403, title, 'The form was not sent from this dashboard.')
}

/** Reads the text fields of a form, without white space around them. */
export async function readForm({ c }: Visit): Promise<(name: string) => string> {
  const given = await c.req.parseBody()
  return (name) => (typeof given[name] === 'string' ? given[name].trim() : '')
}
