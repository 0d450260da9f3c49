// The timeline of a depot's board. It is drawn from the list below it (#plan), which the server rendered and the live
// stream keeps up to date: the list is the truth, the timeline its picture and the place to drag.
//
// Its axis counts elapsed time from the first local midnight shown, on a calendar day of its own (ORIGIN). So a day on
// which clocks change is 23 or 25 hours long here too, and the browser's own time zone never matters.
'use strict'
;(() => {
  const root = document.getElementById('board')
  if (!root) return

  const ORIGIN = Date.UTC(2001, 0, 8)
  const MINUTE = 60_000
  const HOUR = 60 * MINUTE
  const STATES_MS = 20_000
  // How much of the screen an hour gets, and how often it is written.
  const SCALES = {
    day: { slot: 30, width: 56, label: 60 },
    '3-days': { slot: 60, width: 46, label: 120 },
    week: { slot: 120, width: 44, label: 360 },
  }

  const from = Date.parse(root.dataset.from)
  const to = Date.parse(root.dataset.to)
  const zone = root.dataset.zone
  const audiences = root.dataset.audiences.split(' ')
  const canManage = 'canManage' in root.dataset
  const scale = SCALES[root.dataset.view]
  const pixelsPerMs = scale.width / (scale.slot * MINUTE)
  const token = JSON.parse(document.body.getAttribute('hx-headers'))['X-CSRFToken']

  const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone: zone })
  const weekday = new Intl.DateTimeFormat('en-GB', { weekday: 'short', day: 'numeric', month: 'short', timeZone: zone })

  let calendar = null
  const waitingMoves = new Set() // bookings whose move is on its way
  const takenSpans = new Map() // EVSE → what the stream last said of it, for a guest

  // ---- time: moments (ms) and the calendar's own ----
  const onAxis = (moment) => new Date(ORIGIN + moment - from).toISOString().slice(0, 19)
  const offAxis = (d) =>
    Date.UTC(d.getFullYear(), d.getMonth(), d.getDate(), d.getHours(), d.getMinutes(), d.getSeconds()) - ORIGIN + from
  const clockSpan = (starts, ends) => `${clock.format(starts)}–${clock.format(ends)}`
  const utc = (moment) => new Date(moment).toISOString().replace('.000', '')

  function minutesOfDay(moment) {
    const [hours, minutes] = clock.format(moment).split(':').map(Number)
    return hours * 60 + minutes
  }

  // The nearest moment on a booking's step, which counts from local midnight.
  function aligned(moment, step) {
    const over = minutesOfDay(moment) % step
    return moment + (over * 2 >= step ? step - over : -over) * MINUTE
  }

  function slotLabel(time) {
    const moment = offAxis(time)
    const words = clock.format(moment)
    if (words !== '00:00') return words
    return { html: `<b class="axis-day">${weekday.format(moment)}</b>` }
  }

  // ---- reading the list ----
  const rows = () => [...document.querySelectorAll('#plan [data-evse]')]
  const listOf = (uid) => document.querySelector(`#plan [data-list="${CSS.escape(uid)}"]`)
  const rowOf = (entry) => entry.parentElement.dataset.list
  const entriesOf = (id) => [...document.querySelectorAll(`#plan [data-booking="${id}"], #plan [data-pending="${id}"]`)]
  const keyOf = (entry) => {
    if (entry.dataset.booking) return `booking-${entry.dataset.booking}`
    if (entry.dataset.pending) return `pending-${entry.dataset.pending}`
    if (entry.dataset.closure) return `closure-${entry.dataset.closure}`
    return (entry.dataset.key ??= `taken-${crypto.getRandomValues(new Uint32Array(2)).join('')}`)
  }
  function spanOf(entry) {
    const [starts, ends] = entry.querySelector('time').getAttribute('datetime').split('/').map((text) => Date.parse(text))
    return { starts, ends }
  }
  const isHere = ({ starts, ends }) => starts < to && ends > from

  const drawn = new Map() // key → the entry it shows

  function eventOf(entry) {
    const { starts, ends } = spanOf(entry)
    const key = keyOf(entry)
    drawn.set(key, entry)
    const { status, span } = entry.dataset
    // A vehicle that left early has given its place back: somebody else may stand there by now.
    const until = status === 'completed' ? Math.min(ends, Math.max(starts + MINUTE, Date.parse(span.split('/')[1]))) : ends
    return {
      id: key,
      resourceId: rowOf(entry),
      start: onAxis(starts),
      end: onAxis(until),
      title: '',
      display: entry.dataset.closure ? 'background' : 'auto',
      editable: canManage && Boolean(entry.dataset.step) && !waitingMoves.has(entry.dataset.booking),
      classNames: classesOf(entry),
      extendedProps: { mark: entry.outerHTML.length },
    }
  }

  function classesOf(entry) {
    if ('taken' in entry.dataset) return ['bar', 'bar-taken']
    if (entry.dataset.closure) return ['bar-closed', 'is-closure']
    if (entry.dataset.pending) return ['bar', 'bar-requested', 'is-pending']
    const moving = waitingMoves.has(entry.dataset.booking) ? ['is-moving'] : []
    return ['bar', `bar-${entry.dataset.status}`, `is-${entry.dataset.enforcement}`, ...moving]
  }

  const isDrawn = (entry) => !entry.classList.contains('is-given-up')

  function allEvents() {
    drawn.clear()
    const entries = [...document.querySelectorAll('#plan .plan-entry')].filter(isDrawn)
    return [...entries.map(eventOf), ...shutEvents(), pastEvent()].filter(Boolean)
  }

  function shutEvents() {
    return [...root.querySelectorAll('[data-shut]')].map(({ dataset }, number) => ({
      id: `shut-${number}`,
      resourceIds: rows().map((row) => row.dataset.evse),
      start: onAxis(Date.parse(dataset.starts)),
      end: onAxis(Date.parse(dataset.ends)),
      display: 'background',
      classNames: ['is-shut'],
    }))
  }

  // What is over lies in a shade, and its edge is the line of now.
  function pastEvent() {
    const now = Math.min(Math.max(Date.now(), from), to)
    return {
      id: 'past',
      resourceIds: rows().map((row) => row.dataset.evse),
      start: onAxis(from),
      end: onAxis(Math.max(now, from + 1000)),
      display: 'background',
      classNames: ['is-past', ...(now > from && now < to ? ['has-now'] : [])],
    }
  }

  // ---- drawing ----
  function draw() {
    if (calendar || !matchMedia('(min-width: 768px)').matches) return
    const minutes = (to - from) / MINUTE
    calendar = EventCalendar.create(document.getElementById('timeline'), {
      view: 'resourceTimelineDay',
      date: '2001-01-08',
      timeZone: 'UTC',
      height: '100%',
      headerToolbar: { start: '', center: '', end: '' },
      resources: rows().map((row) => ({ id: row.dataset.evse, title: row.dataset.evse })),
      events: allEvents(),
      eventContent: ({ event }) => contentOf(event),
      resourceLabelContent: ({ resource }) => ({ domNodes: [headOf(resource.id)] }),
      slotMinTime: '00:00:00',
      slotMaxTime: `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}:00`,
      slotDuration: { minutes: scale.slot },
      slotLabelInterval: { minutes: scale.label },
      slotLabelFormat: slotLabel,
      slotWidth: scale.width,
      snapDuration: { minutes: 5 },
      scrollTime: { minutes: firstMinuteShown() },
      editable: canManage,
      eventStartEditable: canManage,
      eventDurationEditable: canManage,
      eventResizableFromStart: canManage,
      longPressDelay: 350,
      nowIndicator: false,
      highlightedDates: [],
      eventClick: ({ event }) => openEntry(drawn.get(event.id)),
      eventDrop: moved,
      eventResize: moved,
    })
  }

  function firstMinuteShown() {
    const now = Date.now()
    if (now > from && now < to) return Math.max(0, Math.floor((now - from) / MINUTE) - 75)
    const first = [...document.querySelectorAll('#plan .plan-entry')].map((entry) => spanOf(entry).starts)
    const earliest = first.length ? Math.min(...first) - from : 6 * HOUR
    return Math.max(0, Math.floor(Math.min(earliest, 6 * HOUR) / MINUTE) - 30)
  }

  function headOf(uid) {
    const head = document.querySelector(`#plan [data-evse="${CSS.escape(uid)}"] .row-head`).cloneNode(true)
    const box = document.createElement('div')
    box.className = 'axis-row'
    box.dataset.evse = uid
    box.title = head.title
    head.querySelector('.row-uid').removeAttribute('id')
    box.append(...[...head.childNodes].map((node) => (node.tagName === 'H3' ? named(node) : node)))
    return box
  }

  function named(heading) {
    const words = document.createElement('b')
    words.className = 'row-uid'
    words.textContent = heading.textContent
    return words
  }

  function contentOf(event) {
    const entry = drawn.get(event.id)
    if (!entry || event.display === 'background') return { domNodes: [] }
    const box = document.createElement('div')
    box.className = 'bar-in'
    const starts = offAxis(event.start)
    const ends = offAxis(event.end)
    if ('taken' in entry.dataset) {
      box.dataset.taken = ''
      box.append('Taken')
      box.title = `Taken ${clockSpan(starts, ends)}`
      return { domNodes: [box] }
    }
    const plate = entry.querySelector('.plan-plate').textContent
    if (root.dataset.view === 'week') return weekContent(box, entry, plate, starts, ends)
    const who = entry.querySelector('.plan-who')?.textContent ?? ''
    name(box, entry)
    const signs = [...entry.querySelectorAll('.plan-badges .badge-status')].map((badge) => badge.title || badge.textContent.trim())
    box.title = [`${plate} ${clockSpan(starts, ends)}`, who, ...signs].filter(Boolean).join('\n')
    box.append(...tails(entry, starts, ends), ...icons(entry), part('b', 'bar-plate', plate), part('span', 'bar-time', clockSpan(starts, ends)))
    if (who) box.append(part('span', 'bar-who', who))
    return { domNodes: [box] }
  }

  function name(box, entry) {
    for (const key of ['booking', 'pending', 'status', 'enforcement']) {
      if (entry.dataset[key]) box.dataset[key] = entry.dataset[key]
    }
  }

  // A week holds thousands of bars, each a few letters wide: plate and colour, the rest on hover and in the list.
  function weekContent(box, entry, plate, starts, ends) {
    name(box, entry)
    box.classList.add('bar-in-brief')
    box.textContent = plate
    box.title = `${plate} ${clockSpan(starts, ends)}`
    return { domNodes: [box] }
  }

  function part(tag, name, words) {
    const element = document.createElement(tag)
    element.className = name
    element.textContent = words
    return element
  }

  function icons(entry) {
    const shown = []
    if ('waits' in entry.dataset || entry.dataset.pending) shown.push(entry.querySelector('.status-requested svg'))
    if (['armed', 'at_risk', 'soft'].includes(entry.dataset.enforcement)) {
      shown.push(entry.querySelector(`.enforcement-${entry.dataset.enforcement} svg`))
    }
    return shown.filter(Boolean).map((icon) => {
      const copy = icon.cloneNode(true)
      copy.classList.add('bar-icon')
      return copy
    })
  }

  // Early start before it and turnaround after it, thin: the EVSE is not free then either.
  function tails(entry, starts, ends) {
    const { span, status } = entry.dataset
    if (!span || status === 'completed') return []
    const own = spanOf(entry)
    if (own.starts !== starts || own.ends !== ends) return [] // on its way somewhere else
    const [first, last] = span.split('/').map((text) => Date.parse(text))
    return [tail('before', starts - first), tail('after', last - ends)].filter(Boolean)
  }

  function tail(name, length) {
    if (length <= 0) return null
    const element = document.createElement('i')
    element.className = `bar-tail bar-tail-${name}`
    element.style.width = `${length * pixelsPerMs}px`
    return element
  }

  function openEntry(entry) {
    const link = entry?.querySelector('a')
    if (!link) return
    if ('dialog' in link.dataset) berth.openDialog(link.href)
    else location.assign(link.href)
  }

  // ---- moving ----
  function moved({ event, oldEvent }) {
    const entry = drawn.get(event.id)
    if (!entry) return
    const step = Number(entry.dataset.step)
    const was = spanOf(entry)
    const starts = offAxis(event.start) - offAxis(oldEvent.start) ? aligned(offAxis(event.start), step) : was.starts
    const isResized = event.end - event.start !== oldEvent.end - oldEvent.start
    const ends = isResized
      ? offAxis(event.end) === offAxis(oldEvent.end) ? was.ends : aligned(offAxis(event.end), step)
      : starts + (was.ends - was.starts)
    send(entry, { evse: event.resourceIds[0], starts_at: utc(starts), ends_at: utc(ends) }, true)
  }

  async function send(entry, place, canUndo) {
    const id = entry.dataset.booking
    const { starts, ends } = spanOf(entry)
    if (place.evse === rowOf(entry) && Date.parse(place.starts_at) === starts && Date.parse(place.ends_at) === ends) return redraw(id)
    waitingMoves.add(id)
    showMoving(id, place)
    const url = `${entry.querySelector('a').href}move/`
    const answer = await post(url, place)
    waitingMoves.delete(id)
    if (answer.entries) {
      apply(id, answer.entries)
      const undo = { words: 'Undo', run: () => undoMove(id, answer.undo) }
      berth.toast('success', answer.message, canUndo ? undo : undefined)
    } else {
      redraw(id)
      berth.toast('error', answer.detail)
    }
  }

  function undoMove(id, place) {
    const entry = document.querySelector(`#plan [data-booking="${id}"]`)
    if (entry?.dataset.step) send(entry, place, false)
    else berth.toast('error', 'It cannot be moved back any more.')
  }

  // Where it was dropped, until the server has said.
  function showMoving(id, place) {
    const event = calendar?.getEventById(`booking-${id}`)
    if (!event) return
    calendar.updateEvent({
      ...event,
      resourceIds: [place.evse],
      start: onAxis(Date.parse(place.starts_at)),
      end: onAxis(Date.parse(place.ends_at)),
      editable: false,
      classNames: [...event.classNames, 'is-moving'],
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
    const known = Math.max(0, ...entriesOf(id).map((entry) => Number(entry.dataset.version)))
    if (fresh.some(({ entry }) => Number(entry.dataset.version) < known)) return // overtaken on the way
    for (const entry of entriesOf(id)) entry.remove()
    for (const { evse, entry } of fresh) {
      const list = listOf(evse)
      if (!list || !isHere(spanOf(entry))) continue
      insert(list, entry)
      entry.classList.add('is-fresh')
    }
    redraw(id)
    if (takenSpans.size) for (const uid of takenSpans.keys()) showTaken(uid)
    count()
  }

  function insert(list, entry) {
    const { starts } = spanOf(entry)
    const next = [...list.children].find((other) => !other.dataset.closure && spanOf(other).starts > starts)
    list.insertBefore(entry, next ?? null)
  }

  // Bring the timeline in line with the list, for one booking.
  function redraw(id) {
    if (!calendar || waitingMoves.has(String(id))) return
    const wanted = new Map(entriesOf(id).filter(isDrawn).map((entry) => [keyOf(entry), entry]))
    for (const key of [`booking-${id}`, `pending-${id}`]) {
      const exists = calendar.getEventById(key)
      const entry = wanted.get(key)
      if (entry && exists) calendar.updateEvent({ ...exists, ...eventOf(entry), resourceIds: [rowOf(entry)] })
      else if (entry) calendar.addEvent(eventOf(entry))
      else if (exists) calendar.removeEventById(key)
    }
  }

  function redrawRow(uid, prefix) {
    if (!calendar) return
    for (const event of calendar.getEvents()) {
      if (event.id.startsWith(prefix) && event.resourceIds[0] === uid) calendar.removeEventById(event.id)
    }
    for (const entry of listOf(uid).children) if (keyOf(entry).startsWith(prefix)) calendar.addEvent(eventOf(entry))
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
      const time = entry.querySelector('time')
      time.setAttribute('datetime', `${first}/${last}`)
      time.textContent = clockSpan(span.starts, span.ends)
      insert(list, entry)
    }
    redrawRow(uid, 'taken-')
  }

  function showClosures({ rows: closed, after }) {
    for (const row of rows()) {
      const uid = row.dataset.evse
      const list = listOf(uid)
      for (const old of list.querySelectorAll('[data-closure]')) if (spanOf(old).ends > Date.parse(after)) old.remove()
      for (const html of (closed[uid] ?? []).toReversed()) {
        const entry = fragment(html)
        if (isHere(spanOf(entry))) list.prepend(entry)
      }
      redrawRow(uid, 'closure-')
    }
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
  on('evse', (detail) => seenBy(detail).forEach((seen) => seen.rows && showStates(seen.rows)))
  on('charger', (detail) => seenBy(detail).forEach((seen) => seen.rows && showStates(seen.rows)))
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
    if (!calendar) return
    calendar.setOption('resources', rows().map((row) => ({ id: row.dataset.evse, title: row.dataset.evse })))
    calendar.setOption('events', allEvents())
  }

  // ---- what passes with time ----
  // A phone leaves out what is over, until it is asked for.
  function markOver() {
    const now = Date.now()
    for (const entry of document.querySelectorAll('#plan .plan-entry')) {
      const isOver = spanOf(entry).ends <= now || ['completed', 'cancelled', 'declined', 'no_show'].includes(entry.dataset.status)
      entry.classList.toggle('is-over', isOver && now > from && now < to)
    }
  }

  document.addEventListener('click', ({ target }) => {
    const button = target.closest('[data-over]')
    if (!button) return
    const isShown = document.getElementById('plan').classList.toggle('shows-over')
    button.setAttribute('aria-pressed', String(isShown))
  })

  setInterval(() => {
    markOver()
    calendar?.updateEvent({ ...calendar.getEventById('past'), ...pastEvent() })
  }, 30_000)
  setInterval(async () => {
    if (document.hidden || !root.dataset.states || !document.querySelector('#plan .row-session')) return
    const answer = await fetch(root.dataset.states, { headers: { Accept: 'application/json' } }).catch(() => null)
    if (answer?.ok && !answer.redirected) showStates((await answer.json()).rows)
  }, STATES_MS)

  document.querySelector('[data-submits]')?.addEventListener('change', ({ target }) => target.value && target.form.requestSubmit())
  matchMedia('(min-width: 768px)').addEventListener('change', draw)
  markOver()
  draw()
})()
