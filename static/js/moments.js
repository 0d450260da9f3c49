// A calendar beside every field for a day or a moment (bookings/pages/forms/fields.py): the same in every browser, twenty-four
// hours, weeks from Monday. The field itself stays a text, so that everything works without this.
'use strict'
;(() => {
  const DAYS = ['Mo', 'Tu', 'We', 'Th', 'Fr', 'Sa', 'Su']
  const WRITTEN = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d))?/
  let open = null // the field whose calendar is open, with its panel and the month it shows

  // Wall clocks only: UTC here stands for "no zone", since the browser does not know the depot's.
  const dayOf = (text) => {
    const found = WRITTEN.exec(text.trim())
    const day = found && new Date(Date.UTC(found[1], found[2] - 1, found[3]))
    return day && !Number.isNaN(day.getTime()) ? day : null
  }
  const clockOf = (text) => /[T ](\d\d):(\d\d)/.exec(text)?.slice(1) ?? ['08', '00']
  const write = (day) => day.toISOString().slice(0, 10)
  const named = (day, options) => day.toLocaleDateString('en-GB', { timeZone: 'UTC', ...options })

  const inFull = (day) => `${named(day, { weekday: 'long' })} ${day.getUTCDate()} ${named(day, { month: 'long' })} ${day.getUTCFullYear()}`

  function make(tag, properties = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties)
    element.append(...children)
    return element
  }

  // The day's name after the date, for who thinks in days of the week.
  function sayDay(field) {
    const day = dayOf(field.value)
    field.parentElement.querySelector('.moment-day').textContent = day ? named(day, { weekday: 'short' }) : ''
  }

  function show(field, button) {
    close()
    const panel = make('div', { className: 'moment-panel' })
    panel.setAttribute('role', 'group')
    panel.setAttribute('aria-label', 'Calendar')
    const day = dayOf(field.value) ?? new Date()
    open = { field, button, panel, month: new Date(Date.UTC(day.getUTCFullYear(), day.getUTCMonth(), 1)) }
    field.parentElement.append(panel)
    button.ariaExpanded = 'true'
    draw()
    ;(panel.querySelector('[aria-pressed="true"]') ?? panel.querySelector('button')).focus()
    panel.scrollIntoView({ block: 'nearest' }) // in a dialog it may end below the fold
  }

  function close() {
    if (!open) return
    const { panel, button } = open
    const isInside = panel.contains(document.activeElement)
    open = null
    panel.remove()
    button.ariaExpanded = 'false'
    if (isInside) button.focus()
  }

  function draw() {
    const { field, panel, month } = open
    panel.replaceChildren(head(month), grid(field, month), ...(field.dataset.moment === 'minute' ? [clock(field)] : []))
  }

  function head(month) {
    const turn = (words, sign, by) => {
      const button = make('button', { type: 'button', textContent: sign })
      button.setAttribute('aria-label', words)
      button.addEventListener('click', () => {
        open.month = new Date(Date.UTC(month.getUTCFullYear(), month.getUTCMonth() + by, 1))
        draw()
        open.panel.querySelector(`[aria-label="${words}"]`).focus()
      })
      return button
    }
    const name = make('span', { textContent: named(month, { month: 'long', year: 'numeric' }) })
    return make('div', { className: 'moment-head' }, turn('Month before', '‹', -1), name, turn('Month after', '›', 1))
  }

  function grid(field, month) {
    const chosen = dayOf(field.value)
    const first = new Date(month)
    first.setUTCDate(1 - ((month.getUTCDay() + 6) % 7))
    const cells = [...Array(42).keys()].map((n) => {
      const day = new Date(first)
      day.setUTCDate(first.getUTCDate() + n)
      const button = make('button', { type: 'button', textContent: day.getUTCDate() })
      button.setAttribute('aria-label', inFull(day))
      button.setAttribute('aria-pressed', String(chosen !== null && write(day) === write(chosen)))
      if (day.getUTCMonth() !== month.getUTCMonth()) button.className = 'is-beside'
      button.addEventListener('click', () => {
        take(field, write(day), clockOf(field.value))
        if (field.dataset.moment === 'day') return close()
        draw()
        open.panel.querySelector('select').focus()
      })
      return button
    })
    const names = DAYS.map((name) => make('span', { textContent: name, ariaHidden: 'true' }))
    return make('div', { className: 'moment-days' }, ...names, ...cells)
  }

  function clock(field) {
    const [hour, minute] = clockOf(field.value)
    const numbers = (count, step, kept) => {
      const all = [...Array(count).keys()].map((n) => String(n * step).padStart(2, '0'))
      return all.includes(kept) ? all : [...all, kept].sort()
    }
    const list = (label, values, value) => {
      const select = make('select', { className: 'form-select' }, ...values.map((text) => make('option', { textContent: text })))
      select.value = value
      select.setAttribute('aria-label', label)
      return select
    }
    const hours = list('Hour', numbers(24, 1, hour), hour)
    const minutes = list('Minute', numbers(12, 5, minute), minute)
    const set = () => take(field, write(dayOf(field.value) ?? new Date()), [hours.value, minutes.value])
    hours.addEventListener('change', set)
    minutes.addEventListener('change', set)
    const done = make('button', { type: 'button', className: 'btn btn-primary btn-small', textContent: 'Done' })
    done.addEventListener('click', close)
    return make('div', { className: 'moment-clock' }, hours, make('span', { textContent: ':' }), minutes, done)
  }

  function take(field, day, [hour, minute]) {
    field.value = field.dataset.moment === 'day' ? day : `${day} ${hour}:${minute}`
    for (const kind of ['input', 'change']) field.dispatchEvent(new Event(kind, { bubbles: true }))
  }

  document.addEventListener('click', ({ target }) => {
    const button = target.closest('.moment-open')
    if (!button) return
    const field = button.parentElement.querySelector('[data-moment]')
    if (open?.field === field && open.panel.isConnected) close()
    else show(field, button)
  })
  document.addEventListener('input', ({ target }) => target.matches('[data-moment]') && sayDay(target))
  document.addEventListener('change', ({ target }) => {
    if (!target.matches('[data-moment]')) return
    target.value = target.value.trim().replace(/^(\d{4}-\d\d-\d\d)T/i, '$1 ')
    for (const field of document.querySelectorAll('[data-moment]')) sayDay(field) // the end may have moved along
  })
  document.addEventListener('pointerdown', ({ target }) => {
    if (open && !open.field.parentElement.contains(target)) close()
  })
  // A page that is looked up again under an open calendar keeps it: the server knows of none.
  if (window.Idiomorph) {
    const { callbacks } = Idiomorph.defaults
    callbacks.beforeNodeRemoved = (node) => node !== open?.panel
    const mayChange = callbacks.beforeAttributeUpdated
    callbacks.beforeAttributeUpdated = (name, node, change) =>
      mayChange(name, node, change) && !(node === open?.button && name === 'aria-expanded')
  }
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !open?.panel.isConnected) return
    event.preventDefault() // the dialog around it stays
    close()
  })
})()
