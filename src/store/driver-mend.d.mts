export const driverFile: RegExp
export function mendDriver(file: string, text: string): string
