/* Keyboard shortcuts, and the watch over the live stream. The pages work without this file. */
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

  // A page that hears nothing must not keep saying that it is live. The server sends a message every
  // five seconds; after twenty seconds of silence the connection is at fault.
  const live = document.getElementById('live')
  if (!live) return
  let heard = Date.now()
  let out = false
  document.addEventListener('htmx:sse:after:message', () => {
    heard = Date.now()
    out = false
  })
  const say = (...words) => {
    const fresh = document.getElementById('fresh')
    if (!fresh) return
    fresh.className = 'fresh stale'
    fresh.replaceChildren(...words)
  }
  // The session has ended: no more messages come, and the values stay readable.
  const refused = (status) => {
    if (status !== 401 || out) return
    out = true
    const link = document.createElement('a')
    link.href = `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`
    link.textContent = 'Not live: sign in again'
    say(link)
  }
  document.addEventListener('htmx:sse:error', ({ detail }) => refused(detail.status))
  document.addEventListener('htmx:response:error', ({ detail }) => refused(detail.ctx.response.status))
  // A request without an answer shows after two seconds.
  const asked = new Map()
  document.addEventListener('htmx:before:request', ({ target }) => {
    if (target !== live) asked.set(target, Date.now())
  })
  document.addEventListener('htmx:finally:request', ({ target }) => asked.delete(target))
  setInterval(() => {
    const silent = Math.round((Date.now() - heard) / 1000)
    if (document.hidden) return
    // htmx connects again when a connection breaks, but not when the first one fails.
    if (silent >= 5 && silent % 5 === 0 && !(live._htmx && live._htmx.sse)) htmx.trigger(live, 'connect')
    const waits = Math.round((Date.now() - Math.min(Date.now(), ...asked.values())) / 1000)
    if (waits >= 2 && silent < 20 && !out) say(`Loading, ${waits}\u00a0s`)
    if (silent >= 20 && !out) say(`No contact with the dashboard for ${silent}\u00a0s`)
  }, 1000)
})()
