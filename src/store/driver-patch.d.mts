export const driverFile: RegExp
export function patchDriver(file: string, text: string): string
