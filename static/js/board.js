// The board of a depot. The list below the timeline (#plan), which the server rendered and the live stream keeps up to
// date, is the truth; the timeline is its picture (bars.js, timeline.js) and the place to drag.
'use strict'
;(() => {
  const root = document.getElementById('board')
  if (!root) return

  const MINUTE = 60_000
  const HOUR = 60 * MINUTE
  // An hour is at least so wide: three days and a week fit into a small desk's screen, a day is for reading.
  const HOUR_PX = { day: 80, '3-days': 12, week: 5.2 }
  const { spanOf, isHere, isDrawn, keyOf, itemOf, contentOf, clockSpan } = berth.bars

  const from = Date.parse(root.dataset.from)
  const to = Date.parse(root.dataset.to)
  const audiences = root.dataset.audiences.split(' ')
  const token = JSON.parse(document.body.getAttribute('hx-headers'))['X-CSRFToken']
  const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone: root.dataset.zone })
  const utc = (moment) => new Date(moment).toISOString().replace('.000', '')

  let timeline = null
  const moving = new Map() // booking → {uid, starts, ends} where it was dropped, while its move is on its way
  const takenSpans = new Map() // EVSE → what the stream last said of it, for a guest

  // ---- the list ----
  const rows = () => [...document.querySelectorAll('#plan .plan-row')]
  const listOf = (uid) => document.querySelector(`#plan [data-list="${CSS.escape(uid)}"]`)
  const rowOf = (entry) => entry.parentElement?.dataset.list
  const entryOf = (id) => document.querySelector(`#plan [data-booking="${id}"]`)
  const entriesOf = (id) => [...document.querySelectorAll(`#plan [data-booking="${id}"], #plan [data-pending="${id}"]`)]

  function itemsOf(list) {
    const uid = list.dataset.list
    const here = [...list.children].filter((entry) => isDrawn(entry) && !moving.has(entry.dataset.booking))
    const dropped = [...moving].filter(([, place]) => place.uid === uid).flatMap(([id, place]) => {
      const entry = entryOf(id)
      return entry ? [itemOf(entry, place)] : []
    })
    return [...here.map((entry) => itemOf(entry)), ...dropped].filter(isHere)
  }

  // ---- drawing ----
  function draw() {
    if (!matchMedia('(min-width: 768px)').matches) return
    const begun = performance.now()
    const isFirst = timeline === null
    timeline ??= berth.timeline(document.getElementById('timeline'), {
      from,
      to,
      zone: root.dataset.zone,
      isBrief: root.dataset.view !== 'day',
      minHourPx: HOUR_PX[root.dataset.view],
      shut: [...root.querySelectorAll('[data-shut]')].map(spanOf),
      headOf,
      contentOf,
      moved,
    })
    timeline.draw([...document.querySelectorAll('#plan [data-list]')].map((list) => ({ uid: list.dataset.list, items: itemsOf(list) })))
    if (isFirst) timeline.scrollTo(firstShown())
    performance.measure('board-drawn', { start: begun })
  }

  function redraw(...uids) {
    for (const uid of new Set(uids)) if (timeline && listOf(uid)) timeline.drawRow(uid, itemsOf(listOf(uid)))
  }

  function firstShown() {
    const now = Date.now()
    if (now > from && now < to) return now - 75 * MINUTE
    const starts = [...document.querySelectorAll('#plan .plan-entry')].map((entry) => spanOf(entry).starts)
    return Math.min(...starts, from + 6 * HOUR) - 30 * MINUTE
  }

  function headOf(uid) {
    const head = document.querySelector(`#plan [data-evse="${CSS.escape(uid)}"] .row-head`).cloneNode(true)
    const box = document.createElement('div')
    box.className = 'axis-row'
    box.dataset.evse = uid
    box.title = head.title
    const heading = document.createElement('b')
    heading.className = 'row-uid'
    heading.textContent = uid
    head.querySelector('.row-uid').replaceWith(heading)
    box.append(...head.childNodes)
    return box
  }

  // ---- moving ----
  function minutesOfDay(moment) {
    const [hours, minutes] = clock.format(moment).split(':').map(Number)
    return hours * 60 + minutes
  }

  // The nearest moment on a booking's step, which counts from local midnight.
  function aligned(moment, step) {
    const over = minutesOfDay(moment) % step
    return moment + (over * 2 >= step ? step - over : -over) * MINUTE
  }

  // A bar was dropped: what was not pulled keeps its length. `entry` is what was seen when it was taken, whatever came since.
  function moved({ entry, uid, starts, ends }) {
    const step = Number(entry.dataset.step)
    const was = spanOf(entry)
    const isResized = ends - starts !== was.ends - was.starts
    const first = starts === was.starts ? was.starts : aligned(starts, step)
    const last = !isResized ? first + (was.ends - was.starts) : ends === was.ends ? was.ends : aligned(ends, step)
    send(entry, { uid, starts: first, ends: last })
  }

  async function send(entry, place) {
    const id = entry.dataset.booking
    const was = spanOf(entry)
    const home = rowOf(entryOf(id) ?? entry)
    if (place.uid === home && place.starts === was.starts && place.ends === was.ends) return
    moving.set(id, place)
    redraw(home, place.uid)
    const url = `${entry.querySelector('a').href}move/`
    const fields = { evse: place.uid, starts_at: utc(place.starts), ends_at: utc(place.ends), version: entry.dataset.version }
    const answer = await ask(url, fields)
    moving.delete(id)
    show(answer)
    redraw(home, place.uid)
  }

  // What came of a move, or of taking one back; of null nothing did.
  function show(answer) {
    if (!answer) return
    if (!answer.entries) return berth.toast('error', answer.detail)
    apply(answer.booking, answer.entries)
    berth.toast('success', answer.message, answer.undo)
  }

  // The "Undo" of a message about a move is sent from here, so that the board stays on its day and where it was scrolled to.
  document.addEventListener('submit', async (event) => {
    const form = event.target.closest('[data-undo]')
    if (!form) return
    event.preventDefault()
    const { undo } = Object.fromEntries(new FormData(form))
    form.closest('[data-toast]').remove()
    show(await ask(form.action, { undo }))
  })

  // Null where the manager would rather leave it than lower the power its fleet was promised.
  async function ask(url, fields) {
    const answer = await post(url, fields)
    if (answer.code !== 'lower_power') return answer
    return (await isMeant(answer.detail)) ? post(url, { ...fields, accept_lower_power: 1 }) : null
  }

  function isMeant(words) {
    const dialog = document.getElementById('ask-power')
    dialog.querySelector('[data-words]').textContent = words
    dialog.returnValue = ''
    dialog.showModal()
    return new Promise((done) => {
      dialog.addEventListener('close', () => done(dialog.returnValue === 'move'), { once: true })
    })
  }

  async function post(url, fields) {
    try {
      const answer = await fetch(url, {
        method: 'POST',
        headers: { Accept: 'application/json', 'X-CSRFToken': token },
        body: new URLSearchParams(fields),
      })
      if (answer.redirected) return { detail: 'You are signed out. Load the page again.' }
      if ([200, 409, 422].includes(answer.status)) return await answer.json()
      if (answer.status === 404) return { detail: 'This booking is no longer here, or not yours to move.' }
      return { detail: 'It was not moved: something went wrong on our side. Load the page again.' }
    } catch {
      return { detail: 'Berth cannot be reached. Nothing was moved.' }
    }
  }

  // ---- what the live stream says ----
  function seenBy(detail) {
    return audiences.map((name) => detail.for[name]).filter(Boolean)
  }

  function fragment(html) {
    const template = document.createElement('template')
    template.innerHTML = html
    return template.content.firstElementChild
  }

  // Put what a booking shows now in the place of what it showed.
  function apply(id, entries) {
    const fresh = entries.map(({ evse, html }) => ({ evse, entry: fragment(html) }))
    const before = entriesOf(id)
    const known = Math.max(0, ...before.map((entry) => Number(entry.dataset.version)))
    if (fresh.some(({ entry }) => Number(entry.dataset.version) < known)) return // overtaken on the way
    const touched = [...before.map(rowOf), ...fresh.map(({ evse }) => evse)]
    for (const entry of before) entry.remove()
    for (const { evse, entry } of fresh) {
      const list = listOf(evse)
      if (!list || !isHere(spanOf(entry))) continue
      insert(list, entry)
      entry.classList.add('is-fresh')
    }
    for (const uid of takenSpans.keys()) showTaken(uid)
    redraw(...touched)
    count()
  }

  function insert(list, entry) {
    const { starts } = spanOf(entry)
    const next = [...list.children].find((other) => !other.dataset.closure && spanOf(other).starts > starts)
    list.insertBefore(entry, next ?? null)
  }

  function showTaken(uid) {
    const list = listOf(uid)
    if (!list) return
    const { within, spans } = takenSpans.get(uid)
    const mine = new Set([...list.querySelectorAll('[data-span]')].map((entry) => entry.dataset.span))
    for (const old of list.querySelectorAll('[data-taken]')) {
      const { starts, ends } = spanOf(old)
      if (ends > Date.parse(within[0]) && starts < Date.parse(within[1])) old.remove()
    }
    for (const [first, last] of spans) {
      const span = { starts: Date.parse(first), ends: Date.parse(last) }
      if (!isHere(span) || mine.has(`${first}/${last}`)) continue
      const entry = document.getElementById('taken-template').content.firstElementChild.cloneNode(true)
      Object.assign(entry.dataset, { starts: first, ends: last })
      const time = entry.querySelector('time')
      time.setAttribute('datetime', `${first}/${last}`)
      time.textContent = clockSpan(span.starts, span.ends)
      insert(list, entry)
    }
    redraw(uid)
  }

  function showClosures({ rows: closed, after }) {
    for (const { dataset } of rows()) showAnew(dataset.evse, 'closure', closed[dataset.evse] ?? [], after)
  }

  // All of a kind in a row that ended after a moment, as the server knows them now.
  function showAnew(uid, kind, entries, after) {
    const list = listOf(uid)
    if (!list) return
    for (const old of list.querySelectorAll(`[data-${kind}]`)) if (spanOf(old).ends > Date.parse(after)) old.remove()
    for (const entry of entries.map(fragment).filter((one) => isHere(spanOf(one)))) insert(list, entry)
    redraw(uid)
  }

  function showStates(states) {
    for (const [uid, html] of Object.entries(states)) {
      for (const place of document.querySelectorAll(`[data-state="${CSS.escape(uid)}"]`)) place.innerHTML = html
    }
    count()
  }

  function count() {
    const online = new Set(rows().filter((row) => row.querySelector('.state:not(.state-offline)')).map((row) => row.dataset.charger))
    const numbers = {
      online: online.size,
      charging: document.querySelectorAll('#plan .row-session').length,
      'at-risk': document.querySelectorAll('#plan [data-booking][data-enforcement="at_risk"]:not(.is-given-up)').length,
    }
    markOver()
    for (const [name, number] of Object.entries(numbers)) {
      const sign = document.querySelector(`[data-number="${name}"]`)
      if (sign) sign.textContent = number
    }
    document.querySelector('[data-number="at-risk"]')?.parentElement.classList.toggle('fact-danger', numbers['at-risk'] > 0)
  }

  // What is heard while the page loads itself again may be newer than what it will get: it is said once more afterwards.
  let heardMeanwhile = null
  const on = (name, run) =>
    document.body.addEventListener(`berth:${name}`, ({ detail }) => {
      heardMeanwhile?.push(() => run(detail))
      run(detail)
    })
  on('bar', (detail) => {
    const seen = seenBy(detail)
    if (seen.length) apply(detail.id, seen[0].entries)
    else if (audiences.some((name) => name in detail.for)) apply(detail.id, [])
  })
  on('taken', (detail) => {
    for (const seen of seenBy(detail)) {
      takenSpans.set(seen.evse, seen)
      showTaken(seen.evse)
    }
  })
  for (const kind of ['evse', 'charger']) {
    on(kind, (detail) => seenBy(detail).forEach((seen) => {
      if (!seen.rows) return
      showStates(seen.rows)
      for (const [uid, entries] of Object.entries(seen.visits)) showAnew(uid, 'session', entries, seen.after)
    }))
  }
  on('closures', (detail) => seenBy(detail).forEach((seen) => seen.rows && showClosures(seen)))
  on('requests', (detail) => {
    for (const seen of seenBy(detail)) {
      const sign = document.querySelector('[data-number="waiting"]')
      if (!sign || seen.depot !== Number(root.dataset.depot)) continue
      sign.textContent = seen.waiting
      sign.parentElement.hidden = !seen.waiting
    }
  })
  document.body.addEventListener('berth:resync', async () => {
    heardMeanwhile ??= []
    const heard = heardMeanwhile
    await loadAgain()
    if (heard === heardMeanwhile) heardMeanwhile = null
    for (const say of heard) say()
  })

  async function loadAgain() {
    const answer = await fetch(location.href).catch(() => null)
    if (!answer?.ok || answer.redirected) return
    const text = await answer.text().catch(() => null)
    if (text === null) return
    const fresh = new DOMParser().parseFromString(text, 'text/html')
    for (const id of ['plan', 'board-summary']) {
      const part = fresh.getElementById(id)
      if (part) document.getElementById(id).replaceWith(document.adoptNode(part))
    }
    takenSpans.clear()
    markOver()
    if (timeline) draw()
  }

  // ---- what passes with time ----
  // A phone leaves out of today what is over, until it is asked for. The server said it once; this is for what ends since.
  function markOver() {
    const now = Date.now()
    for (const entry of document.querySelectorAll('#plan .plan-entry:not(.is-over, [data-overstay])')) {
      if (spanOf(entry).ends <= now && !('session' in entry.dataset && !entry.dataset.ends)) entry.classList.add('is-over')
    }
  }

  document.addEventListener('click', ({ target }) => {
    const button = target.closest('[data-over]')
    if (!button) return
    const isShown = document.getElementById('plan').classList.toggle('shows-over')
    button.setAttribute('aria-pressed', String(isShown))
  })

  // A session that runs, and one that outstays its slot, grow.
  function growing() {
    return [...document.querySelectorAll('#plan [data-session]:not([data-ends]), #plan [data-overstay]')].map(rowOf)
  }

  setInterval(() => {
    markOver()
    timeline?.showNow()
    redraw(...growing())
  }, 30_000)

  document.querySelector('[data-submits]')?.addEventListener('change', ({ target }) => target.value && target.form.requestSubmit())
  matchMedia('(min-width: 768px)').addEventListener('change', draw)
  markOver()
  draw()
})()
