/*
 * Faults of the database driver when a connection dies, patched while it is bundled, and
 * while tests load it. Without this a database that goes away in the middle of a transaction ends the
 * process, or leaves a place in the pool on which every later question waits forever, or lets what is
 * left of the transaction run outside of one, on the next connection of that place:
 *
 * - begin() still uses the connection: for the rollback, and for whatever else the work asks. Now it
 *   is refused.
 * - Small writes are held back for one turn of the event loop. When the connection closes meanwhile,
 *   the timer is stopped but not forgotten, so the next connection of that place believes that one
 *   runs, and writes nothing, its greeting included.
 * - After an error of the socket, what was asked between the error and the close is never answered.
 * - A new connection takes over the question that the old one died of, and its error: the next
 *   question fails with it, or, when the database refuses the connection, is never answered.
 * - The first question of a new connection, for the types of arrays, has no handler when it fails.
 *
 * The version is pinned. One whose text differs fails here, and this has to be looked at again.
 */

const changes = {
  'index.js': [
    [
      'new Promise((_, reject) => connection.onclose = reject)',
      `new Promise((_, reject) => connection.onclose = e => {
          lost = e
          while (queries.length)
            queries.shift().reject(e)
          reject(e)
        })`,
      1,
    ],
    [
      '    let savepoints = 0\n      , connection\n',
      '    let savepoints = 0\n      , lost = null\n      , connection\n',
      1,
    ],
    [
      '        q.catch(e => uncaughtError || (uncaughtError = e))\n',
      '        q.catch(e => uncaughtError || (uncaughtError = e))\n        if (lost)\n          return q.reject(lost)\n',
      1,
    ],
  ],
  'connection.js': [
    [
      '\n    clearImmediate(nextWriteTimer)\n',
      '\n    clearImmediate(nextWriteTimer)\n    chunk = nextWriteTimer = null\n',
      2,
    ],
    [
      '      statements = {}\n',
      '      statements = {}\n      query = results = errorResponse = null\n',
      1,
    ],
    ['        return fetchArrayTypes()\n', '        return fetchArrayTypes().catch(() => {})\n', 1],
    [
      '    !hadError && (query || sent.length) && error(',
      '    ;(query || sent.length) && error(',
      1,
    ],
  ],
}

export const driverFile = /[\\/]postgres[\\/]src[\\/](index|connection)\.js$/

/** @throws Error when the driver is not the one that this was written for */
export function patchDriver(file, text) {
  return changes[/[^\\/]*$/.exec(file)[0]].reduce((patched, [from, to, times]) => {
    const parts = patched.split(from)
    if (parts.length !== times + 1) {
      throw new Error('the driver postgres has changed: look at src/store/driver-patch.mjs again')
    }
    return parts.join(to)
  }, text)
}
