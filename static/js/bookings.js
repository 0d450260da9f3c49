// The dispatcher's pages: rows that change under one's eyes, numbers that follow them, a hold's countdown, and forms
// that think along. Everything here is a comfort: without it the pages are complete, and true when they are loaded.
'use strict'
;(() => {
  const PAUSE_MS = 300 // several changes at once make one request

  // ---- lists: a row comes with the stream; what it cannot say (another group, a new booking) the server is asked ----
  const lists = () => document.querySelectorAll('[data-live-rows]')
  const waiting = new WeakMap()

  function again(part) {
    if (waiting.has(part)) return
    waiting.set(part, setTimeout(() => {
      waiting.delete(part)
      if (part.isConnected) htmx.trigger(part, 'again')
    }, PAUSE_MS))
  }

  function ofFleet(views) {
    const names = Object.keys(views).filter((name) => name.startsWith('fleet-'))
    return names.length ? views[names[0]] : undefined
  }

  document.body.addEventListener('berth:booking', ({ detail }) => {
    const seen = ofFleet(detail.for)
    if (seen !== undefined) for (const list of lists()) takeRow(list, detail.id, seen)
    const page = document.querySelector(`[data-live-page][data-booking="${detail.id}"]`)
    if (page && !(seen?.version <= Number(page.dataset.version))) again(page)
  })

  function takeRow(list, id, seen) {
    const row = list.querySelector(`[data-booking="${id}"]`)
    if (row && seen?.version <= Number(row.dataset.version)) return
    const fresh = row && seen?.row && rowOf(seen.row)
    if (!fresh || row.dataset.group !== fresh.dataset.group || row.dataset.starts !== fresh.dataset.starts || isNarrowed(row, fresh)) {
      return again(list)
    }
    Idiomorph.morph(row, fresh, { ignoreActiveValue: true })
    flash(list.querySelector(`[data-booking="${id}"]`))
    count(list)
  }

  // A list narrowed to a status must not keep a row that has another now.
  function isNarrowed(row, fresh) {
    return row.dataset.status !== fresh.dataset.status && new URLSearchParams(location.search).get('status')
  }

  function rowOf(html) {
    const template = document.createElement('template')
    template.innerHTML = html
    return template.content.querySelector('tr')
  }

  function flash(row) {
    row.classList.remove('is-fresh')
    void row.offsetWidth // starts the animation anew
    row.classList.add('is-fresh')
  }

  // ---- the numbers above the day ----
  function count(list) {
    for (const tally of list.querySelectorAll('[data-tally]')) {
      const rows = list.querySelectorAll(`tr${tally.dataset.tally}`)
      tally.querySelector('b').textContent = rows.length
      tally.parentElement.hidden = rows.length === 0
    }
  }

  // ---- a change by the depot counts as seen once its page has been before somebody's eyes, not behind other tabs ----
  const LOOKED_MS = 1000
  let looking

  function markSeen() {
    clearTimeout(looking)
    if (document.visibilityState === 'visible' && document.querySelector('[data-seen-url]')) looking = setTimeout(saySeen, LOOKED_MS)
  }

  function saySeen() {
    const page = document.querySelector('[data-seen-url]')
    if (!page || document.visibilityState !== 'visible' || page.dataset.isSaid) return
    page.dataset.isSaid = 'yes'
    htmx.ajax('POST', page.dataset.seenUrl, { source: page, swap: 'none', values: { version: page.dataset.version } })
  }
  document.addEventListener('visibilitychange', markSeen)

  // ---- how long a hold still lasts ----
  function countDown() {
    for (const clock of document.querySelectorAll('[data-countdown]')) {
      const seconds = Math.ceil((Date.parse(clock.dataset.countdown) - Date.now()) / 1000)
      const text = seconds > 0 ? `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}` : 'run out'
      if (clock.textContent !== text) clock.textContent = text
    }
  }
  setInterval(countDown, 1000)

  // ---- forms: a later start moves the end along; a nearest time is taken over ----
  function keepLength(form) {
    const [first, last] = ['starts_at', 'ends_at'].map((name) => form.elements[name])
    if (!first || !last || form.dataset.keeps) return
    form.dataset.keeps = 'yes'
    let length = minutes(last.value) - minutes(first.value)
    last.addEventListener('change', () => { length = minutes(last.value) - minutes(first.value) })
    first.addEventListener('change', () => {
      const end = new Date((minutes(first.value) + length) * 60_000)
      if (length > 0 && !Number.isNaN(end.getTime())) rewrite(last, end.toISOString().slice(0, 16).replace('T', ' '))
    })
  }

  // Whoever comes from one field to the next finds its text selected, and must go on finding it so.
  function rewrite(field, text) {
    const isSelected = field.selectionStart === 0 && field.selectionEnd === field.value.length
    field.value = text
    if (isSelected) field.select()
  }

  // Wall-clock arithmetic only: the zone is the depot's, which the browser does not know.
  function minutes(text) {
    return Date.parse(`${text.trim().replace(' ', 'T')}Z`) / 60_000
  }

  document.addEventListener('click', (event) => {
    const button = event.target.closest('[data-takes-times]')
    if (!button) return
    const form = button.closest('form')
    if (form.elements.starts_at) form.elements.starts_at.value = button.dataset.starts // of a charging one only the end changes
    form.elements.ends_at.value = button.dataset.ends
    button.closest('.nearest').remove()
    form.elements.ends_at.focus()
  })

  // ---- results belong to the question they answer: while the fields say another, nothing of them can be booked ----
  const question = () => document.querySelector('[data-question]')
  let asking = null // the request for new results that is under way

  const changed = (form) => [...form.elements].filter((field) => field.name && field.type !== 'hidden' && berth.isChanged(field))

  function markResults() {
    const form = question()
    const results = document.querySelector('[data-results]')
    if (!form || !results) return
    const isStale = asking !== null || changed(form).length > 0
    results.classList.toggle('is-stale', isStale)
    results.toggleAttribute('data-stale', isStale)
    for (const button of results.querySelectorAll('.offer-actions button:not([data-sent])')) button.disabled = isStale
    const sign = document.getElementById('find-stale')
    const words = asking === null ? 'These slots answer an earlier question. Press Find for those of yours.' : 'Looking…'
    if (isStale) sign.querySelector('[data-stale-words]').textContent = words
    sign.hidden = !isStale
  }

  for (const kind of ['input', 'change']) {
    document.addEventListener(kind, (event) => event.target.closest('[data-question]') && markResults())
  }

  document.body.addEventListener('htmx:beforeRequest', ({ target, detail }) => {
    if (!target.matches('[data-question]')) return
    asking = detail.xhr
    markResults()
  })
  document.body.addEventListener('htmx:afterRequest', ({ target, detail }) => {
    if (!target.matches('[data-question]') || detail.xhr !== asking) return
    asking = null
    markResults()
  })

  // An answer to what was asked before the fields were changed again must neither be shown nor put the fields back.
  document.body.addEventListener('htmx:beforeSwap', (event) => {
    const { detail } = event
    if (detail.target?.id !== 'slots' || !question()) return
    const isOwn = detail.requestConfig.elt.matches('[data-question]')
    const isLate = isOwn ? isOtherThan(detail.requestConfig.formData) : asking !== null || changed(question()).length > 0
    if (isLate) detail.shouldSwap = false
  })

  function isOtherThan(sent) {
    return [...new FormData(question())].some(([name, value]) => sent.get(name) !== value)
  }

  // Enter in a field or a click that was quicker than the dimming: what is sent says what the fields say.
  document.addEventListener('submit', (event) => {
    const form = event.target
    if (!form.matches('[data-results] .offer-actions')) return
    for (const field of changed(question())) {
      const carried = form.elements[`asked_${field.name}`]
      if (carried) carried.value = field.value
    }
    if (!document.querySelector('[data-results][data-stale]')) return
    event.preventDefault()
    event.stopImmediatePropagation()
    berth.toast('warning', 'Nothing was booked: press Find first, these slots answer an earlier question.')
  }, true)

  // Twice sent is once meant; a page that comes back from the browser's memory can send again.
  document.addEventListener('submit', (event) => {
    if (event.target.method !== 'post' || event.target.matches('[hx-post]')) return
    setTimeout(() => {
      for (const button of event.target.querySelectorAll('button:enabled')) {
        button.disabled = true
        button.dataset.sent = ''
      }
    })
  })
  window.addEventListener('pageshow', () => {
    for (const button of document.querySelectorAll('[data-sent]')) {
      button.disabled = false
      delete button.dataset.sent
    }
    markResults()
  })

  // ---- results are looked up again when what is free has changed, but never under somebody's hand ----
  let isDue = false

  function refresh() {
    const finder = document.querySelector('[data-finder]')
    if (!finder) return
    isDue = Boolean(document.visibilityState !== 'visible' || finder.querySelector('.offer:hover') || finder.contains(document.activeElement))
    if (!isDue) again(finder)
  }
  const refreshIfDue = () => isDue && setTimeout(refresh) // once the focus has arrived where it goes
  document.body.addEventListener('berth:taken', refresh)
  document.addEventListener('visibilitychange', refreshIfDue)
  document.addEventListener('focusout', refreshIfDue)
  document.querySelector('[data-finder]')?.parentElement.addEventListener('pointerout', refreshIfDue)

  // ---- the state of each EVSE in the results; of one that was ready and is not, the row itself is looked up again ----
  for (const kind of ['evse', 'charger']) {
    document.body.addEventListener(`berth:${kind}`, ({ detail }) => {
      for (const seen of Object.values(detail.for)) for (const [id, state] of Object.entries(seen?.states ?? {})) showState(id, state)
    })
  }

  function showState(id, [look, word]) {
    for (const place of document.querySelectorAll(`[data-evse-state="${CSS.escape(id)}"]`)) {
      const sign = place.firstElementChild
      if (sign.textContent === word) continue
      sign.className = `state state-${look}`
      sign.textContent = word
      flash(place)
      refresh()
    }
  }

  function begin() {
    for (const list of lists()) count(list)
    for (const form of document.querySelectorAll('[data-keeps-length]')) keepLength(form)
    countDown()
    markSeen()
    markResults()
  }
  document.body.addEventListener('htmx:afterSettle', begin)
  begin()
})()
