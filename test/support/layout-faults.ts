/**
 * Runs in the browser: what of a page cannot be read, as sentences; empty when all of it can.
 *
 * - The page does not scroll sideways; only a box that the keyboard can reach may.
 * - No text is outside the window, or squeezed into a column of a few letters, and no error runs on to the side.
 * - Text that a cell cuts off is in a row that leads to all of it.
 * - Every row that others of its table lead somewhere from leads somewhere as well, by a link that can
 *   be seen, and clicked where it is.
 */
export const layoutFaults = `(() => {
  const faults = []
  const tell = (what, box) =>
    faults.push(what + ': ' + box.tagName + '.' + box.className + ' ' + JSON.stringify(box.textContent.slice(0, 30)))
  for (const details of document.querySelectorAll('details')) details.open = true
  const wide = document.documentElement.scrollWidth
  if (wide > innerWidth) faults.push('the page is ' + wide + ' px wide, the window ' + innerWidth)

  for (const box of document.querySelectorAll('pre.tail')) {
    if (box.scrollWidth > box.clientWidth) tell('runs on to the side', box)
  }

  const scrolls = (box) => {
    for (let one = box; one; one = one.parentElement) {
      if (one.tabIndex >= 0 && /auto|scroll/.test(getComputedStyle(one).overflowX)) return true
    }
    return false
  }
  const clips = (box) => {
    for (let one = box; one && one !== document.body; one = one.parentElement) {
      const { overflowX } = getComputedStyle(one)
      if (/hidden|clip/.test(overflowX) && one.scrollWidth > one.clientWidth) return one
    }
  }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  for (let node; (node = walker.nextNode()); ) {
    const box = node.parentElement
    if (!/\\S/.test(node.data) || box.closest('.vh, script, option, [popover]')) continue
    if (!box.checkVisibility()) continue
    const range = document.createRange()
    range.selectNodeContents(node)
    const rect = range.getBoundingClientRect()
    if (rect.height === 0) continue
    const clip = clips(box)
    if (clip) {
      if (!clip.closest('tr')?.querySelector('.k a[href]')) tell('cut off, and nowhere else', clip)
    } else if ((rect.left < -1 || rect.right > innerWidth + 1) && !scrolls(box)) {
      tell('outside the window', box)
    }
    const lines = rect.height / parseFloat(getComputedStyle(box).lineHeight || 20)
    const breaks = node.data.split(/[\\s\\-/]/).length
    if (!box.closest('pre') && lines > node.data.length / 4 + breaks / 2 + 2) tell('squeezed to ' + lines + ' lines', box)
  }

  const lead = (row) => row.querySelector('.k a[href]')
  for (const table of document.querySelectorAll('table')) {
    const rows = [...table.querySelectorAll('tbody tr')]
    if (!rows.some(lead)) continue
    for (const row of rows) {
      const link = lead(row)
      if (!link) { tell('leads nowhere', row); continue }
      checkLink(link)
    }
  }
  for (const link of document.querySelectorAll('.gantt a, .head a, .wafers a')) checkLink(link)

  function checkLink(link) {
    link.scrollIntoView({ block: 'center', inline: 'nearest' })
    const rects = [...link.getClientRects()].filter(({ width, height }) => width >= 8 && height >= 8)
    if (rects.length === 0) return tell('too small to click', link)
    if (!/[^\\p{Z}\\p{C}\\p{M}\\u2800\\u115f\\u1160\\u3164\\uffa0]/u.test(link.textContent)) tell('nothing to see', link)
    const hit = rects.some(({ left, top, width, height }) => {
      const found = document.elementFromPoint(left + Math.min(width / 2, 40), top + height / 2)
      return found && (link.contains(found) || found.contains(link) && found.closest('tr') === link.closest('tr'))
    })
    if (!hit) tell('covered by something else', link)
  }
  scrollTo(0, 0)
  return faults
})()`

/** Runs in the browser, after the above: the names of the tables that are wider than their boxes, folded details included. */
export const listWideTables = `[...document.querySelectorAll('table')]
  .filter((table) => table.scrollWidth > table.parentElement.clientWidth + 1)
  .map((table) => table.caption?.textContent)`
