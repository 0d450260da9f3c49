// A timeline of rows by time: draws what it is given and lets bars be dragged. It knows nothing of bookings.
//
// berth.timeline(box, {from, to, zone, isBrief, minHourPx, shut, headOf, contentOf, moved}) → {draw, drawRow, showNow, scrollTo}
//   draw([{uid, items}]) draws all; drawRow(uid, items) one row.
//   An item is {starts, ends, until, classNames, isGround, isEditable} and what else its owner wants; times are ms. `until`
//   is when its track is free again. moved({...item, uid, starts, ends}) is called when a bar was dropped somewhere else.
// Everything is placed in parts of the span, so a window that changes its size needs no script; the axis counts elapsed
// time from `from`, so a day on which clocks change is 23 or 25 hours long, and the browser's own zone never matters.
'use strict'
;(() => {
  const MINUTE = 60_000
  const HOUR = 60 * MINUTE
  const SNAP = 5 * MINUTE
  const EDGE_PX = 7 // this near its end a bar is pulled, not moved
  const START_PX = 4
  const HOLD_MS = 350 // a finger that rests this long takes a bar, a shorter one scrolls
  const LABEL_PX = { full: 52, brief: 30 }
  const ROOM_PX = 28 // less than this is no room for a plate
  const STEPS_H = [1, 2, 3, 4, 6, 12]

  function timeline(box, options) {
    const { from, to, zone } = options
    const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone: zone })
    const weekday = new Intl.DateTimeFormat('en-GB', { weekday: 'short', day: 'numeric', month: 'short', timeZone: zone })
    const part = (moment) => `${(100 * (moment - from)) / (to - from)}%`
    const share = (length) => `${(100 * length) / (to - from)}%`
    const lanes = new Map() // uid → its lane
    const late = new Map() // uid → items that came while one of its bars was held
    let ground, axis
    let width = 0 // of the axis, in pixels
    let held = null

    function draw(rows) {
      const sheet = element('div', 'tl-sheet')
      sheet.style.setProperty('--track', `${Math.ceil(((to - from) / HOUR) * options.minHourPx)}px`)
      axis = element('div', 'tl-axis')
      ground = element('div', 'tl-ground')
      const head = element('div', 'tl-head')
      head.append(element('div', 'tl-corner'), axis)
      sheet.append(head, ground)
      lanes.clear()
      for (const { uid, items } of rows) sheet.append(rowOf(uid, items))
      const rest = element('div', 'tl-rest') // below the last row, so that the column of heads reaches the bottom
      rest.append(element('div', 'tl-corner'))
      sheet.append(rest)
      box.replaceChildren(sheet)
      width = axis.clientWidth // asked once: after every row it would have all of them laid out anew
      for (const [uid, lane] of lanes) fill(uid, lane.items)
      drawAxis()
      showNow()
    }

    function rowOf(uid, items) {
      const row = element('div', 'tl-row')
      const lane = element('div', 'tl-lane')
      lane.items = items
      row.append(options.headOf(uid), lane)
      lanes.set(uid, lane)
      return row
    }

    function drawRow(uid, items) {
      if (held?.uid === uid) late.set(uid, items)
      else if (lanes.has(uid)) fill(uid, items)
    }

    function fill(uid, items) {
      const lane = lanes.get(uid)
      lane.items = items
      const bars = items.filter((item) => !item.isGround).toSorted((a, b) => a.starts - b.starts)
      const ends = [] // when each of the tracks above each other is free again
      const tracks = bars.map((bar) => {
        const free = ends.findIndex((end) => end <= bar.starts)
        const track = free < 0 ? ends.length : free
        ends[track] = bar.until ?? bar.ends
        return track
      })
      const drawn = bars.map((bar, number) => {
        const next = bars.find((other, at) => at > number && tracks[at] === tracks[number])
        return barOf(uid, bar, tracks[number], Math.min(next?.starts ?? to, to))
      })
      lane.style.setProperty('--tracks', Math.max(1, ends.length))
      lane.replaceChildren(...items.filter((item) => item.isGround).map(groundOf), ...drawn)
    }

    function barOf(uid, item, track, roomUntil) {
      const bar = element('article', ['tl-bar', ...item.classNames].join(' '))
      bar.item = { ...item, uid }
      place(bar, item.starts, item.ends)
      bar.style.setProperty('--at', track)
      const first = Math.max(item.starts, from)
      const length = Math.min(item.ends, to) - first
      const roomPx = (width * (roomUntil - first)) / (to - from)
      const content = options.contentOf(item, { isNarrow: roomPx < ROOM_PX })
      // What does not fit into a short bar may run on over free time, as far as the next bar.
      // Of the lane, not of the bar, whose borders leave a short one nearly no width of its own.
      content.style.setProperty('--room', `${(100 * Math.max(roomUntil - first, length)) / (to - from)}cqw`)
      bar.append(content)
      if (item.isEditable) bar.classList.add('is-editable')
      return bar
    }

    function groundOf(item) {
      const band = element('i', ['tl-band', ...item.classNames].join(' '))
      place(band, item.starts, item.ends)
      return band
    }

    // What reaches beyond the days shown is cut there, so that its words are seen.
    function place(found, starts, ends) {
      const first = Math.max(starts, from)
      found.style.left = part(first)
      found.style.width = share(Math.min(ends, to) - first)
    }

    // ---- the axis: hours as often as there is room for, days above them where there are several ----
    function drawAxis() {
      const hourPx = (width * HOUR) / (to - from)
      const words = options.isBrief ? LABEL_PX.brief : LABEL_PX.full
      const step = STEPS_H.find((hours) => hours * hourPx >= words) ?? 24
      const labels = []
      const lines = []
      for (let moment = from; moment < to; moment += HOUR) {
        const [hours, minutes] = clock.format(moment).split(':').map(Number)
        const isMidnight = hours + minutes === 0
        if (isMidnight || moment === from) labels.push(label('tl-day', moment, weekday.format(moment)))
        if (isMidnight) lines.push(line(moment, 'is-day'))
        else if (hours % step === 0) lines.push(line(moment, ''))
        if (hours % step === 0) labels.push(label('tl-hour', moment, options.isBrief ? clock.format(moment).slice(0, 2) : clock.format(moment)))
      }
      const shut = (options.shut ?? []).map((span) => groundOf({ ...span, classNames: ['is-shut'] }))
      axis.replaceChildren(...labels)
      ground.replaceChildren(...shut, ...lines, element('i', 'tl-past'))
    }

    function label(name, moment, words) {
      const found = element('span', name)
      found.style.left = part(moment)
      found.textContent = words
      return found
    }

    function line(moment, name) {
      const found = element('i', `tl-line ${name}`)
      found.style.left = part(moment)
      return found
    }

    // What is over lies in a shade, and its edge is the line of now.
    function showNow() {
      const now = Math.min(Math.max(Date.now(), from), to)
      const past = ground.querySelector('.tl-past')
      past.style.width = share(now - from)
      past.classList.toggle('has-now', now > from && now < to)
    }

    // ---- dragging ----
    box.addEventListener('pointerdown', (event) => {
      const bar = event.target.closest('.tl-bar.is-editable')
      if (!bar || event.button || held) return
      const { left, right } = bar.getBoundingClientRect()
      const edge = Math.min(EDGE_PX, (right - left) / 4)
      const side = event.clientX < left + edge ? 'start' : event.clientX > right - edge ? 'end' : null
      held = { bar, side, uid: bar.item.uid, to: bar.item.uid, x: event.clientX + box.scrollLeft, y: event.clientY + box.scrollTop, pointer: event.pointerId, isTaken: false }
      if (event.pointerType === 'touch') held.timer = setTimeout(take, HOLD_MS)
    })
    box.addEventListener('pointermove', (event) => {
      if (held?.pointer !== event.pointerId) return
      held.last = event
      const isFar = Math.hypot(event.clientX + box.scrollLeft - held.x, event.clientY + box.scrollTop - held.y) > START_PX
      if (!held.isTaken && isFar && held.timer) return letGo()
      if (!held.isTaken && isFar) take()
      if (held.isTaken) follow()
    })
    box.addEventListener('pointerup', (event) => held?.pointer === event.pointerId && drop())
    box.addEventListener('pointercancel', (event) => held?.pointer === event.pointerId && letGo())
    box.addEventListener('contextmenu', (event) => held && event.preventDefault()) // a finger that rests on a link
    box.addEventListener('touchmove', (event) => held?.isTaken && event.preventDefault(), { passive: false })
    document.addEventListener('keydown', (event) => event.key === 'Escape' && held && letGo())
    // The click that ends a drag opens nothing.
    let dropped = 0
    box.addEventListener('click', (event) => {
      if (event.timeStamp - dropped > 300) return
      event.preventDefault()
      event.stopPropagation()
    }, true)

    function take() {
      clearTimeout(held.timer)
      held.isTaken = true
      box.setPointerCapture(held.pointer)
      held.bar.classList.add('is-held')
      held.scrolling = setInterval(scrollAtEdges, 30)
    }

    function follow() {
      const { bar, side, last } = held
      const lane = lanes.get(held.uid)
      const moved = ((last.clientX + box.scrollLeft - held.x) * (to - from)) / width
      const by = Math.round(moved / SNAP) * SNAP
      const { starts, ends } = bar.item
      held.starts = side === 'end' ? starts : Math.min(starts + by, side === 'start' ? ends - SNAP : Infinity)
      held.ends = side === 'start' ? ends : Math.max(ends + by, side === 'end' ? starts + SNAP : -Infinity)
      place(bar, held.starts, held.ends)
      if (side) return
      const under = [...lanes].find(([, other]) => isWithin(last.clientY, other))
      if (under) held.to = under[0]
      bar.style.transform = `translateY(${lanes.get(held.to).offsetTop - lane.offsetTop}px)`
    }

    function isWithin(y, lane) {
      const { top, bottom } = lane.getBoundingClientRect()
      return y >= top && y < bottom
    }

    function scrollAtEdges() {
      if (!held?.last) return
      const { left, right, top, bottom } = box.getBoundingClientRect()
      const head = box.querySelector('.tl-corner').offsetWidth
      const pull = (at, first, last) => (at < first + 24 ? -12 : at > last - 24 ? 12 : 0)
      const before = [box.scrollLeft, box.scrollTop]
      box.scrollBy(pull(held.last.clientX, left + head, right), pull(held.last.clientY, top + 24, bottom))
      if (before[0] !== box.scrollLeft || before[1] !== box.scrollTop) follow()
    }

    function drop() {
      const { bar, starts, ends, to: uid, isTaken } = held
      const { item } = bar
      if (isTaken) dropped = performance.now()
      letGo()
      if (!isTaken || starts === undefined || (starts === item.starts && ends === item.ends && uid === item.uid)) return
      options.moved({ ...item, uid, starts, ends })
    }

    // Put it back; what came for its row meanwhile is drawn now.
    function letGo() {
      const { uid, timer, scrolling } = held
      clearTimeout(timer)
      clearInterval(scrolling)
      held = null
      fill(uid, late.get(uid) ?? lanes.get(uid).items)
      late.delete(uid)
    }

    let resizing
    new ResizeObserver(() => {
      clearTimeout(resizing)
      resizing = setTimeout(() => {
        if (!axis || held || axis.clientWidth === width) return
        width = axis.clientWidth
        drawAxis()
        showNow()
        for (const [uid, lane] of lanes) fill(uid, lane.items)
      }, 150)
    }).observe(box)

    return { draw, drawRow, showNow, scrollTo: (moment) => (box.scrollLeft = (width * (moment - from)) / (to - from)) }
  }

  function element(name, className) {
    const found = document.createElement(name)
    found.className = className
    return found
  }

  window.berth = Object.assign(window.berth ?? {}, { timeline })
})()
