import { setTimeout as wait } from 'node:timers/promises'

/** Calls `send` so many times, so often a second, whatever it waits for. */
export async function onClock(
  count: number,
  everySecond: number,
  send: (dueAt: number) => Promise<void>,
): Promise<void> {
  const begin = performance.now()
  const sent: Promise<void>[] = []
  while (sent.length < count) {
    const dueNow = Math.min(count, ((performance.now() - begin) / 1000) * everySecond)
    while (sent.length < dueNow) sent.push(send(begin + (sent.length / everySecond) * 1000))
    await wait(1)
  }
  await Promise.all(sent)
}
