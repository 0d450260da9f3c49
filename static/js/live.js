// One stream a browser, whatever the number of tabs (HTTP/1.1 allows six connections a host): the tab that holds the lock
// reads /live/ and tells the others. Each change becomes a DOM event on <body>: berth:booking, berth:evse, … with
// detail {kind, id, for: {audience: payload}}; an empty payload says "look yourself", null says "gone".
// berth:resync says that changes were missed: load what is shown again.
'use strict'
;(() => {
  const SILENCE_MS = 40_000 // two and a half beats of the server
  const PATIENCE_MS = 2_500 // shorter breaks are nobody's business
  const KEPT_MS = 60_000
  const RETRY_MS = [1_000, 2_000, 5_000, 10_000, 30_000]

  const name = `berth-live-${document.body.dataset.live}`
  let channel = null
  let source = null // only in the tab that leads
  let release = null
  let heardUntil = Number(document.body.dataset.rendered)
  let kept = [] // what this tab, leading, has told the others lately
  let failures = 0
  let silence, patience, retry

  // ---- joining and leaving: a page kept for "back" must hold neither lock nor stream ----
  function join() {
    channel = 'BroadcastChannel' in window ? new BroadcastChannel(name) : null
    channel?.addEventListener('message', ({ data }) => (data.ask ? tellNewcomer(data.ask) : hear(data)))
    channel?.postMessage({ ask: heardUntil })
    // Locks need https or this machine; without them every tab reads its own stream.
    if (!navigator.locks) return connect()
    const leaving = new AbortController()
    release = () => leaving.abort()
    navigator.locks
      .request(name, { signal: leaving.signal }, () => new Promise((done) => {
        release = done
        connect()
      }))
      .catch(() => {}) // left before its turn came
  }

  function leave() {
    disconnect()
    clearTimeout(retry)
    clearTimeout(patience)
    release?.()
    release = null
    channel?.close()
    channel = null
  }

  // ---- leading: the stream ----
  function connect() {
    disconnect()
    source = new EventSource(`/live/?since=${heardUntil}`)
    source.addEventListener('hello', (event) => {
      failures = 0
      share({ state: 'on', at: Number(event.lastEventId) })
      if (JSON.parse(event.data).resync) share({ event: 'resync', at: Number(event.lastEventId) })
    })
    source.addEventListener('change', (event) => {
      const detail = JSON.parse(event.data)
      share({ event: detail.kind, detail, at: Number(event.lastEventId) })
    })
    source.addEventListener('resync', (event) => share({ event: 'resync', at: Number(event.lastEventId) }))
    source.addEventListener('beat', (event) => share({ at: Number(event.lastEventId) }))
    source.addEventListener('error', () => {
      share({ state: 'reconnecting' })
      if (source?.readyState === EventSource.CLOSED) askWhy()
    })
    expectSound()
  }

  function disconnect() {
    clearTimeout(silence)
    source?.close()
    source = null
  }

  // A line can die without a word (a lid closed, a proxy gone): then start again.
  function expectSound() {
    clearTimeout(silence)
    silence = setTimeout(() => {
      share({ state: 'reconnecting' })
      connect()
    }, SILENCE_MS)
  }

  // The browser gives up on anything but a stream, and does not say what it got.
  async function askWhy() {
    disconnect()
    const answer = await fetch('/live/', { method: 'HEAD' }).catch(() => null)
    if (answer?.status === 204) return share({ state: 'signed-out' })
    clearTimeout(retry)
    retry = setTimeout(connect, RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)])
  }

  function share(note) {
    if (source) expectSound()
    if (note.event) {
      kept = kept.filter(({ at }) => at > note.at - KEPT_MS)
      kept.push(note)
    }
    channel?.postMessage(note)
    hear(note)
  }

  // A tab that opened between two changes may have been rendered before one and joined after it.
  function tellNewcomer(since) {
    if (!source) return
    for (const note of kept) if (note.at >= since - 5_000) channel.postMessage(note)
    channel.postMessage({ state: document.documentElement.dataset.live })
  }

  // ---- every tab ----
  function hear({ event, detail, state, at }) {
    if (at) heardUntil = Math.max(heardUntil, at)
    if (event === 'requests' || event === 'inbox') count(event, detail)
    if (event === 'resync') countAgain()
    if (event) document.body.dispatchEvent(new CustomEvent(`berth:${event}`, { detail, bubbles: true }))
    if (state) show(state)
  }

  function show(state) {
    document.documentElement.dataset.live = state
    clearTimeout(patience)
    const words = { reconnecting: 'Reconnecting…', 'signed-out': 'Signed out. Load the page again.' }[state]
    patience = setTimeout(() => {
      for (const sign of document.querySelectorAll('[data-live-state]')) {
        sign.hidden = !words
        if (words) sign.querySelector('span').textContent = words
      }
    }, words ? PATIENCE_MS : 0)
  }

  // The numbers in the shell: requests that wait, one sum over the depots of this person, and what they have not read.
  function count(kind, detail) {
    for (const sign of document.querySelectorAll(`[data-count="${kind}"]`)) {
      const counts = JSON.parse(sign.dataset.counts)
      for (const seen of Object.values(detail.for)) {
        if (seen?.depot in counts) counts[seen.depot] = seen.waiting
        if (seen?.person in counts) counts[seen.person] = seen.unread
      }
      showCounts(sign, counts)
    }
  }

  function showCounts(sign, counts) {
    const total = Object.values(counts).reduce((sum, number) => sum + number, 0)
    sign.dataset.counts = JSON.stringify(counts)
    sign.textContent = total
    sign.hidden = total === 0
  }

  async function countAgain() {
    const signs = document.querySelectorAll('[data-count]')
    if (!signs.length) return
    const answer = await fetch('/account/navigation/').catch(() => null)
    if (!answer?.ok || answer.redirected) return
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html')
    for (const sign of signs) {
      const now = fresh.querySelector(`[data-count="${sign.dataset.count}"]`)
      if (now) showCounts(sign, JSON.parse(now.dataset.counts))
    }
  }

  // What a running session delivers, wherever it is shown: templates/bookings/board/_meter.html.
  document.body.addEventListener('berth:meter', ({ detail }) => {
    const html = Object.values(detail.for).find((seen) => seen?.html)?.html
    if (html) for (const place of document.querySelectorAll(`[data-meter="${detail.id}"]`)) place.outerHTML = html
  })

  // How long something has lasted: the tag `since`.
  function countOn() {
    for (const place of document.querySelectorAll('[data-since]')) {
      const minutes = Math.max(0, Math.floor((Date.now() - Date.parse(place.dataset.since)) / 60_000))
      const words = [minutes >= 60 && `${Math.floor(minutes / 60)} h`, (minutes % 60 || minutes < 60) && `${minutes % 60} min`]
      const text = words.filter(Boolean).join(' ')
      if (place.textContent !== text) place.textContent = text
    }
  }
  setInterval(countOn, 5_000)

  window.addEventListener('pagehide', leave)
  window.addEventListener('pageshow', (event) => {
    if (event.persisted) {
      join()
      document.body.dispatchEvent(new CustomEvent('berth:resync', { bubbles: true }))
    }
  })
  join()
})()
