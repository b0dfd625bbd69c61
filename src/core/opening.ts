/**
 * The form of an epoch that is one opening of a spool: when it was opened, and 64 random bits. A number
 * under it belongs to one event, whatever becomes of the folder of the spool. Of any other epoch that is
 * not known: earlier versions had one for each database (with 32 random bits), and a folder that was
 * restored gave its numbers again.
 */
export const openingPattern = /^\d{8}T\d{9}Z-[0-9a-f]{16}$/
