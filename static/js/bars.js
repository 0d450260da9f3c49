// What stands in the list of a board (#plan), as items of its timeline: the list is the truth, a bar its picture.
'use strict'
;(() => {
  const root = document.getElementById('board')
  if (!root) return

  const MINUTE = 60_000
  const from = Date.parse(root.dataset.from)
  const to = Date.parse(root.dataset.to)
  const isBrief = root.dataset.view !== 'day'
  const canManage = 'canManage' in root.dataset
  const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone: root.dataset.zone })
  const clockSpan = (starts, ends) => `${clock.format(starts)}–${clock.format(ends)}`

  // Of a session that runs the end is now.
  function spanOf(entry) {
    const ends = entry.dataset.ends ? Date.parse(entry.dataset.ends) : Date.now()
    return { starts: Date.parse(entry.dataset.starts), ends }
  }

  const isHere = ({ starts, ends }) => starts < to && ends > from
  const isDrawn = (entry) => !entry.classList.contains('is-given-up')

  let numbered = 0
  function keyOf(entry) {
    const { booking, pending, closure, session } = entry.dataset
    if (booking) return `booking-${booking}`
    if (pending) return `pending-${pending}`
    if (closure) return `closure-${closure}`
    if (session) return `session-${session}`
    return (entry.dataset.key ??= `taken-${(numbered += 1)}`)
  }

  // `moving`: {starts, ends} where a booking was dropped, until the server has said.
  function itemOf(entry, moving) {
    const { status, span, booking, overstay } = entry.dataset
    const { starts, ends } = moving ?? spanOf(entry)
    // A vehicle that left early has given its place back: somebody else may stand there by now.
    const until = status === 'completed' && span ? Math.min(ends, Math.max(starts + MINUTE, Date.parse(span.split('/')[1]))) : ends
    const over = overstay ? Date.now() : until
    return {
      key: keyOf(entry),
      entry,
      starts,
      ends: Math.max(until, starts + MINUTE),
      until: Math.max(until, over),
      isGround: Boolean(entry.dataset.closure),
      isEditable: canManage && Boolean(booking && entry.dataset.step) && !moving,
      isMoving: Boolean(moving),
      classNames: [...classesOf(entry), ...(moving ? ['is-moving'] : [])],
    }
  }

  function classesOf(entry) {
    if ('taken' in entry.dataset) return ['bar', 'bar-taken']
    if (entry.dataset.closure) return ['bar-closed']
    if (entry.dataset.session) return ['bar', 'bar-session']
    if (entry.dataset.pending) return ['bar', 'bar-requested', 'is-pending']
    const marks = ['interrupted', 'overstay'].filter((name) => name in entry.dataset)
    return ['bar', `bar-${entry.dataset.status}`, `is-${entry.dataset.enforcement}`, ...marks.map((name) => `is-${name}`)]
  }

  // ---- a bar's inside ----
  function contentOf(item, { isNarrow }) {
    const { entry, starts, ends } = item
    if ('taken' in entry.dataset) return takenContent(starts, ends)
    const link = entry.querySelector('a')
    const plate = entry.querySelector('.plan-plate').textContent
    const box = document.createElement(link ? 'a' : 'div')
    box.className = 'bar-in'
    if (link) {
      box.href = link.href
      box.draggable = false
      box.tabIndex = -1 // the list below is the way by keyboard
      if ('dialog' in link.dataset) box.dataset.dialog = ''
    }
    name(box, entry)
    box.title = titleOf(entry, plate, starts, ends)
    box.append(...tails(item))
    const words = part('span', 'bar-words', '')
    if (!isNarrow) words.append(...icons(entry), part('b', 'bar-plate', plate))
    if (!isNarrow && !isBrief) words.append(part('span', 'bar-time', clockSpan(starts, ends)))
    box.append(words)
    return box
  }

  function takenContent(starts, ends) {
    const box = part('div', 'bar-in', '')
    box.dataset.taken = ''
    box.title = `Taken ${clockSpan(starts, ends)}`
    if (!isBrief) box.append(part('span', 'bar-words', 'Taken'))
    return box
  }

  function titleOf(entry, plate, starts, ends) {
    const who = entry.querySelector('.plan-who')?.textContent ?? ''
    if (isBrief) return [`${plate} ${clockSpan(starts, ends)}`, who].filter(Boolean).join('\n')
    const signs = [...entry.querySelectorAll('.plan-badges .badge-status')].map((badge) => badge.title || badge.textContent.trim())
    return [`${plate} ${clockSpan(starts, ends)}`, who, ...signs].filter(Boolean).join('\n')
  }

  function name(box, entry) {
    for (const key of ['booking', 'pending', 'session', 'status', 'enforcement', 'interrupted']) {
      if (key in entry.dataset) box.dataset[key] = entry.dataset[key]
    }
  }

  function part(tag, className, words) {
    const element = document.createElement(tag)
    element.className = className
    element.textContent = words
    return element
  }

  function icons(entry) {
    const shown = []
    if ('waits' in entry.dataset || entry.dataset.pending) shown.push(entry.querySelector('.status-requested svg'))
    if ('interrupted' in entry.dataset || 'overstay' in entry.dataset) shown.push(entry.querySelector('.badge-mark svg'))
    if (['armed', 'at_risk', 'soft'].includes(entry.dataset.enforcement)) {
      shown.push(entry.querySelector(`.enforcement-${entry.dataset.enforcement} svg`))
    }
    return shown.filter(Boolean).map((icon) => {
      const copy = icon.cloneNode(true)
      copy.classList.add('bar-icon')
      return copy
    })
  }

  // Early start before it and turnaround after it, thin: the EVSE is not free then either. What outstays its slot is no tail.
  function tails({ entry, starts, ends, until, isMoving }) {
    const { span, status } = entry.dataset
    const shown = until > ends ? [tail('over', until - ends, ends - starts)] : []
    if (!span || status === 'completed' || isMoving) return shown
    const [first, last] = span.split('/').map((text) => Date.parse(text))
    return [...shown, tail('before', starts - first, ends - starts), tail('after', last - ends, ends - starts)].filter(Boolean)
  }

  function tail(side, length, ofLength) {
    if (length <= 0) return null
    const element = document.createElement('i')
    element.className = `bar-tail bar-tail-${side}`
    element.style.width = `${(100 * length) / ofLength}%`
    return element
  }

  window.berth = Object.assign(window.berth ?? {}, { bars: { spanOf, isHere, isDrawn, keyOf, itemOf, contentOf, clockSpan } })
})()
