/** The form of a site id. It becomes part of paths, so it is never `.` or `..`. */
export const siteIdPattern = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,64}$/

export const siteIdMessage =
  'must be 1 to 64 letters, digits, dots, hyphens or underscores, and not . or ..'
