import type { FileHandle } from 'node:fs/promises'

const chunkBytes = 65_536

/**
 * Size of the part of a file that ends with a whole line.
 *
 * @param quoted a line end between two `"` belongs to a field
 */
export async function measureWholeLines(file: FileHandle, quoted: boolean): Promise<number> {
  const chunk = Buffer.alloc(chunkBytes)
  let [at, whole] = [0, 0]
  let isInside = false
  for (;;) {
    const { bytesRead } = await file.read(chunk, 0, chunkBytes, at)
    if (bytesRead === 0) return whole
    for (let i = 0; i < bytesRead; i++) {
      if (chunk[i] === 0x22) isInside = quoted && !isInside
      else if (chunk[i] === 0x0a && !isInside) whole = at + i + 1
    }
    at += bytesRead
  }
}
