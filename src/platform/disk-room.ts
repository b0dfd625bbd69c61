import { statfs } from 'node:fs/promises'

/** The room on a disk, in bytes: what a user without privileges may still write, and all that there is. */
export type Room = { freeBytes: number; sizeBytes: number }

/** The room on the disk of a folder; undefined when it cannot be seen from here. */
export async function measureRoom(folder: string): Promise<Room | undefined> {
  const found = await statfs(folder).catch(() => undefined)
  if (!found) return undefined
  const { bavail, blocks, bsize } = found
  return { freeBytes: bavail * bsize, sizeBytes: blocks * bsize }
}
