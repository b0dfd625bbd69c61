/** Text that LIKE takes literally. */
export const escapeLike = (text: string) => text.replaceAll(/[\\%_]/g, '\\$&')
