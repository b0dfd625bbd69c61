/* Keyboard shortcuts. The pages work without this file. */
(() => {
  'use strict'

  // Single keys can be switched off (WCAG 2.1.4); the browser remembers it.
  const off = () => {
    try {
      return localStorage.getItem('wafermon-keys') === 'off'
    } catch {
      return false
    }
  }
  const box = () => document.getElementById('keys-off')
  if (box()) box().checked = off()
  document.addEventListener('change', (event) => {
    if (event.target !== box()) return
    try {
      localStorage.setItem('wafermon-keys', event.target.checked ? 'off' : 'on')
    } catch {}
  })

  const rows = () => [...document.querySelectorAll('tbody tr')].filter((row) => row.querySelector('.k a'))
  const select = (step) => {
    const all = rows()
    const now = all.findIndex((row) => row.hasAttribute('aria-selected'))
    const next = all[now < 0 ? (step > 0 ? 0 : all.length - 1) : now + step]
    if (!next) return
    if (now >= 0) all[now].removeAttribute('aria-selected')
    next.setAttribute('aria-selected', 'true')
    next.querySelector('.k a').focus()
    next.scrollIntoView({ block: 'nearest' })
  }
  const keys = {
    j: () => select(1),
    k: () => select(-1),
    '/': () => {
      const search = document.getElementById('search')
      const folded = search && search.closest('details')
      if (folded) folded.open = true
      if (search) search.focus()
      else location.assign('/jobs')
    },
    '?': () => document.getElementById('keys').togglePopover(),
  }
  document.addEventListener('keydown', (event) => {
    const typing = event.target.closest && event.target.closest('input:not([type=checkbox]), select, textarea')
    if (typing && event.key === 'Escape') typing.blur()
    if (typing || event.ctrlKey || event.metaKey || event.altKey || off()) return
    if (!keys[event.key]) return
    event.preventDefault()
    keys[event.key]()
  })
})()
