import { AppError } from './errors.ts'

/*
 * What a caller may say about the events that it sends. A stamp (docs/wire.md, section 4) is believed
 * about things that nothing else shows: which events a spool has numbered, and when they came. So only
 * a caller that may forward has its stamps read, and even those are held to what a spool could say.
 */

/** The rights of a caller that sends events, by its token. */
export type Sender = {
  /** Its stamps count. Of all others they are dropped, and this hop is the first. */
  mayForward: boolean
  /** The sites that its events are of; undefined for any. */
  sites?: readonly string[] | undefined
  /** The spools whose stamps it sends; undefined for any. */
  sources?: readonly string[] | undefined
}

/**
 * An event of another site is refused by itself: it is one program that names the wrong one.
 *
 * @throws AppError forbidden for the stamp of another spool: the request is a spool with the wrong
 * token, which must keep all its events
 *
 * @param sourceId of a stamp that counts
 */
export function checkSender(
  siteId: string,
  sourceId: string | undefined,
  { sites, sources }: Sender,
): { field: string; detail: string } | undefined {
  if (sourceId !== undefined && sources && !sources.includes(sourceId)) {
    throw new AppError(
      'forbidden',
      `source.id ${JSON.stringify(sourceId)} is not one that this token may forward (${sources.join(', ')}); make one for it with: wafermon token new --scope forward --source ID`,
      { field: 'source.id' },
    )
  }
  if (sites === undefined || sites.includes(siteId)) return undefined
  return {
    field: 'site_id',
    detail: `must be ${sites.join(' or ')}, the site of the token that sends it; got ${JSON.stringify(siteId)}`,
  }
}
