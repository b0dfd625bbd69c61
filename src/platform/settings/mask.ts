/** Stands for a secret that is set. */
export const mask = '********'

/** Masks the user and password of every address in a text. */
export const withoutUser = (text: string): string => text.replaceAll(/\/\/[^/@\s]+@/g, `//${mask}@`)
