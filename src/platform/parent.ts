/**
 * Tells the process that started this one, if there is one, that it works. A parent that is gone, or from which
 * this process has parted because it is being stopped, is told nothing: Node would end the process with an error.
 *
 * @param url the address that it listens on
 */
export function tellReady(url: string): void {
  if (process.connected) process.send?.({ ready: true, url }, undefined, {}, () => {})
}
