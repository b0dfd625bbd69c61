/*
 * Keeps open pages current. The server is told what each window shows, and sends what differs.
 *
 * Browsers open six connections to a server, so all windows share one stream: this file is also the
 * script of the worker that holds it (a SharedWorker, which lives as long as any window does). Where
 * there is no such worker, or no stream gets through, the server is asked again and again instead.
 */
;(() => {
  'use strict'

  /** The server sends something every two seconds: after this silence the stream is at fault. */
  const silenceMs = 5000
  /** How often the server is asked when it cannot be listened to. */
  const pollMs = 2500
  /** How long only questions are asked after streams brought nothing. */
  const pollForMs = 60_000
  const retryMs = [250, 1000, 2000, 4000]

  /** Gives `take` each message of an answer. */
  const read = async (response, take) => {
    const decoder = new TextDecoder()
    const reader = response.body.getReader()
    let rest = ''
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      const messages = (rest + decoder.decode(value, { stream: true })).split('\n\n')
      rest = messages.pop()
      for (const message of messages) {
        const lines = message.split('\n')
        const values = (name) =>
          lines.filter((line) => line.startsWith(name)).map((line) => line.slice(name.length))
        take(values('event: ')[0], values('data: ').join('\n'))
      }
    }
  }

  /**
   * The connection to the server for some windows.
   *
   * `look()` resolves to what they show, `tell(key, html)` brings a message to one of them, and
   * `report(state)` says to all how they are connected: connected, polling, reconnecting, refused.
   */
  const connect = ({ look, tell, report, streams }) => {
    let abort = new AbortController()
    let changed = false
    let failures = 0
    let held = false
    let refused = false
    let pollUntil = streams ? 0 : Infinity
    let wake = () => {}

    const ask = async (listen) => {
      const windows = await look()
      if (windows.length === 0) return false
      abort = new AbortController()
      const { signal } = abort
      let silence
      let came = false
      held = false
      const listening = () => {
        clearTimeout(silence)
        silence = setTimeout(() => {
          held = true
          abort.abort()
        }, silenceMs)
      }
      listening()
      try {
        const response = await fetch('/events', {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ listen, windows }),
          signal,
        })
        refused = response.status === 401
        if (refused) report('refused')
        if (!response.ok) throw new Error(`answered ${response.status}`)
        await read(response, (key, html) => {
          listening()
          if (key === undefined) return
          failures = 0
          came = true
          tell(key, html)
          report(listen ? 'connected' : 'polling')
        })
      } finally {
        clearTimeout(silence)
        // A stream that brings nothing at all is held back by something on the way.
        held &&= !came
      }
      return true
    }

    const pause = (ms) =>
      new Promise((resolve) => {
        wake = resolve
        setTimeout(resolve, ms)
      })

    const run = async () => {
      for (;;) {
        const listen = Date.now() >= pollUntil
        changed = false
        refused = false
        let asked
        try {
          asked = await ask(listen)
        } catch {
          asked = undefined
        }
        if (changed) continue
        if (asked === false) await pause(3_600_000)
        else if (asked && !listen) await pause(pollMs)
        else {
          failures++
          if (failures > 1 && !refused) report('reconnecting')
          if (listen && held) pollUntil = Date.now() + pollForMs
          await pause(retryMs[Math.min(failures, retryMs.length) - 1])
        }
      }
    }
    void run()

    return {
      /** The windows, or what they show, are others now. */
      change() {
        changed = true
        abort.abort()
        wake()
      },
    }
  }

  /* The worker. */

  if ('SharedWorkerGlobalScope' in self) {
    /** A window that says nothing for so long is gone: a browser that crashes says no goodbye. */
    const goneMs = 90_000
    const ports = new Map()
    const post = (port, message) => {
      try {
        port.postMessage(message)
      } catch {}
    }

    const look = async () => {
      // A window that is frozen does not answer; what it said last then only makes its messages longer.
      const asked = [...ports].map(
        ([port, known]) =>
          new Promise((resolve) => {
            known.answered = resolve
            post(port, { look: true })
            setTimeout(resolve, 150)
          }),
      )
      await Promise.all(asked)
      return [...ports.values()].map(({ shows }) => shows)
    }
    let soon
    const connection = connect({
      streams: true,
      look,
      tell: (key, html) => {
        for (const [port, { shows }] of ports) if (shows.key === key) post(port, { html })
      },
      report: (state) => {
        for (const port of ports.keys()) post(port, { state })
      },
    })
    const change = () => {
      // Windows that open together are told of together.
      clearTimeout(soon)
      soon = setTimeout(connection.change, 30)
    }
    self.addEventListener('connect', ({ ports: [port] }) => {
      port.onmessage = ({ data }) => {
        const known = ports.get(port)
        if (data.bye) {
          ports.delete(port)
          change()
        } else if (data.shows) {
          ports.set(port, { shows: data.shows, heard: Date.now() })
          known?.answered?.()
          if (!known) change()
        } else if (known) {
          known.heard = Date.now()
          post(port, { alive: true })
        } else post(port, { look: true })
      }
    })
    setInterval(() => {
      const before = ports.size
      for (const [port, { heard }] of ports) if (Date.now() - heard > goneMs) ports.delete(port)
      if (ports.size < before) change()
    }, 10_000)
    return
  }

  /* A window. */

  const live = document.getElementById('live')
  if (!live) return
  const key = `w${Array.from(crypto.getRandomValues(new Uint32Array(3)), (n) => n.toString(36)).join('')}`
  let heard = Date.now()
  let workerHeard = Date.now()
  let state = 'connecting'
  let swaps = Promise.resolve()

  const look = () => {
    const parts = {}
    for (const part of document.querySelectorAll('main [id][data-v]')) parts[part.id] = part.dataset.v
    const { pathname, search } = location
    const news = Number(document.getElementById('new')?.dataset.n ?? 0)
    return { key, url: pathname + search, parts, news }
  }

  const say = (...words) => {
    const link = document.getElementById('link') ?? document.getElementById('plant')
    if (!link) return
    link.replaceChildren(...words)
    link.parentElement.className = 'fresh stale'
  }
  /** Figures lose their weight while it is not known whether they are still true. */
  const mark = (stale) => document.documentElement.toggleAttribute('data-stale', stale)

  const take = (html) => {
    heard = Date.now()
    swaps = swaps
      .then(() => htmx.swap({ text: html, sourceElement: live, target: live, swap: 'none' }))
      .catch(() => {})
      .then(() => {
        mark(['stale', 'behind'].includes(document.getElementById('fresh')?.dataset.state))
        const link = document.getElementById('link')
        if (state === 'polling' && link?.textContent === 'connected') link.textContent = 'polling'
      })
  }
  const report = (now) => {
    state = now
    if (now === 'reconnecting') say('reconnecting')
    if (now !== 'refused') return
    mark(true)
    const link = document.createElement('a')
    link.href = `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`
    link.textContent = 'Not live: sign in again'
    say(link)
  }

  let worker
  let alone
  const askAlone = () => {
    const own = { look: async () => (document.hidden ? [] : [look()]), tell: (_, html) => take(html) }
    alone ??= connect({ ...own, report, streams: false })
  }
  const hello = () => {
    if (document.hidden) return
    if (worker) worker.postMessage({ shows: look() })
    alone?.change()
  }
  const bye = () => worker?.postMessage({ bye: true })
  try {
    worker = new SharedWorker(live.dataset.worker, { name: 'wafermon' }).port
    worker.onmessage = ({ data }) => {
      workerHeard = Date.now()
      if (data.look) hello()
      if (data.html !== undefined) take(data.html)
      if (data.state) report(data.state)
    }
  } catch {
    askAlone()
  }
  document.addEventListener('visibilitychange', () => (document.hidden ? bye() : hello()))
  addEventListener('pagehide', bye)
  addEventListener('pageshow', ({ persisted }) => persisted && hello())
  hello()

  // Silence is news: a page must not keep saying that it is connected.
  setInterval(() => {
    if (document.hidden || state === 'refused') return
    const silent = Math.round((Date.now() - heard) / 1000)
    if (silent >= 5) {
      mark(true)
      say(`stale, ${silent}\u00a0s: no contact with the dashboard`)
    }
    if (!worker) return
    worker.postMessage({ alive: true })
    // The worker itself is gone.
    if (Date.now() - workerHeard > 10_000) {
      worker = undefined
      askAlone()
    }
  }, 1000)
})()
