/** Stands for a secret that is set. */
export const mask = '********'

/**
 * Masks the user and password of the addresses in a text. A password that was not encoded may hold
 * anything, a slash or an @ too, so all up to the last @ is masked.
 */
export const withoutUser = (text: string): string => text.replace(/\/\/.*@/s, `//${mask}@`)
