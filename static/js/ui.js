// What every page needs: toasts, the dialog, the menu of a small screen, and words for a request that failed.
'use strict'
;(() => {
  const TOAST_MS = 7000
  const UNDO_MS = 10_000 // bookings/operations/undo.py
  document.documentElement.classList.add('js')

  // ---- toasts: Django's messages, of a whole page or in the header of a part ----
  const region = document.getElementById('toasts')
  const template = document.getElementById('toast-template')

  // `undo`: what the button "Undo" in it sends to the server; without, there is none.
  function toast(level, text, undo) {
    const note = template.content.firstElementChild.cloneNode(true)
    note.className = `toast-note toast-${level}`
    note.dataset.toast = level
    note.querySelector('p').textContent = text
    if (undo) {
      note.querySelector('[name="undo"]').value = undo
      for (const earlier of region.querySelectorAll('[data-undo]')) earlier.remove() // only the latest click can be undone
    } else note.querySelector('[data-undo]').remove()
    const use = note.querySelector('use')
    use.setAttribute('href', use.getAttribute('href').replace(/#.*/, `#${iconOf(level)}`))
    // The same words twice are one message, shown anew.
    for (const other of region.children) if (other.textContent.trim() === text) other.remove()
    region.append(note)
    fade(note)
  }

  function iconOf(level) {
    return { success: 'circle-check', error: 'alert-triangle', warning: 'alert-triangle' }[level] ?? 'info-circle'
  }

  // Good news leaves by itself, once nobody points at it; bad news waits to be read.
  // With an "Undo" it leaves when that ends.
  function fade(note) {
    if (note.querySelector('.toast-action')) return setTimeout(() => note.remove(), UNDO_MS)
    if (['error', 'warning'].includes(note.dataset.toast)) return
    const leave = () => (note.matches(':hover, :focus-within') ? setTimeout(leave, 1000) : note.remove())
    setTimeout(leave, TOAST_MS)
  }

  for (const note of region.children) fade(note)
  region.addEventListener('click', (event) => event.target.closest('[data-toast-close]')?.closest('[data-toast]').remove())
  document.body.addEventListener('berth:toasts', (event) => {
    for (const { level, text, undo } of event.detail.toasts) toast(level, text, undo)
  })

  // ---- the dialog: <a href="/page/" data-dialog> shows the part of that page; without scripts it is just a link ----
  const dialog = document.getElementById('dialog')
  const dialogBody = document.getElementById('dialog-body')

  document.addEventListener('click', (event) => {
    if (event.target.closest('[data-dialog-close]')) return close(event)
    if (event.target === dialog) return dialog.close()
    const link = event.target.closest('a[data-dialog]')
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return
    event.preventDefault()
    openDialog(link.href)
  })

  function close(event) {
    const opened = event.target.closest('dialog')
    if (!opened) return
    event.preventDefault()
    opened.close()
  }

  async function openDialog(url) {
    dialogBody.replaceChildren()
    await htmx.ajax('GET', url, { target: '#dialog-body', swap: 'innerHTML', source: dialogBody })
    if (!dialogBody.childElementCount) return
    const heading = dialogBody.querySelector('h1, h2')
    dialog.setAttribute('aria-label', heading ? heading.textContent.trim() : 'Dialog')
    // A form of the part sends to its own page and is swapped for what comes back, errors included.
    for (const form of dialogBody.querySelectorAll('form')) inDialog(form, url)
    if (!dialog.open) dialog.showModal()
    dialogBody.querySelector('[autofocus], input:not([type="hidden"]), select, textarea')?.focus()
  }

  function inDialog(form, url) {
    const verb = `hx-${form.method}` // a form that only asks stays one that changes nothing
    if (form.hasAttribute(verb)) return
    form.setAttribute(verb, form.getAttribute('action') || url)
    form.setAttribute('hx-target', '#dialog-body')
    form.setAttribute('hx-swap', 'innerHTML')
    htmx.process(form)
  }

  document.body.addEventListener('htmx:afterSwap', (event) => {
    if (event.detail.target !== dialogBody || !dialog.open) return
    const url = event.detail.pathInfo.finalRequestPath
    for (const form of dialogBody.querySelectorAll('form')) inDialog(form, url)
    dialogBody.querySelector('[aria-invalid="true"], [role="alert"]')?.focus()
  })
  document.body.addEventListener('berth:close', () => dialog.open && dialog.close())
  dialog.addEventListener('close', () => dialogBody.replaceChildren())

  // ---- a dialog that is already in the page: <button data-opens="some-id"> ----
  document.addEventListener('click', (event) => {
    const id = event.target.closest('[data-opens]')?.dataset.opens
    if (id) document.getElementById(id).showModal()
  })

  // ---- <button data-copies="some-id"> copies the text of that element ----
  document.addEventListener('click', async (event) => {
    const id = event.target.closest('[data-copies]')?.dataset.copies
    if (!id) return
    try {
      await navigator.clipboard.writeText(document.getElementById(id).textContent.trim())
      toast('success', 'Copied.')
    } catch {
      getSelection().selectAllChildren(document.getElementById(id)) // no clipboard without https: ready to be copied by hand
    }
  })

  // ---- menu of a small screen ----
  const menu = document.querySelector('[data-menu]')
  const sidebar = document.getElementById('sidebar')
  function showMenu(open) {
    sidebar.classList.toggle('is-open', open)
    menu.setAttribute('aria-expanded', String(open))
  }
  menu?.addEventListener('click', () => showMenu(menu.getAttribute('aria-expanded') !== 'true'))
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || menu?.getAttribute('aria-expanded') !== 'true') return
    showMenu(false)
    menu.focus()
  })

  // ---- requests that failed are said, not swallowed; 409 and 422 are answers and were swapped ----
  document.body.addEventListener('htmx:responseError', (event) => {
    const { xhr } = event.detail
    if (xhr.getResponseHeader('HX-Trigger')?.includes('berth:toasts')) return
    toast('error', wordsFor(xhr.status))
  })
  document.body.addEventListener('htmx:sendError', () => toast('error', 'Berth cannot be reached. Nothing was changed.'))
  document.body.addEventListener('htmx:timeout', () => toast('error', 'Berth took too long to answer. Look before you try again.'))

  function wordsFor(status) {
    if (status === 403) return 'This page is out of date or you may not do that. Load it again.'
    if (status === 404) return 'This is no longer here, or not yours to see.'
    if (status === 429) return 'That was too often. Wait a moment and try again.'
    return 'Something went wrong on our side. Look before you try again.'
  }

  // ---- what the server cannot know of outlives a page that looks itself up again: what is typed or chosen and not sent yet, and
  // what somebody has opened or closed. In the answer to a form that was sent, the server's values count. ----
  const turned = new WeakSet() // <details> that somebody has opened or closed
  const kept = new WeakMap() // field: what is typed or chosen in it
  let answered = null

  document.addEventListener('click', ({ target }) => {
    const summary = target.closest('summary')
    if (summary) turned.add(summary.parentElement)
  })
  document.body.addEventListener('htmx:beforeSwap', ({ detail }) => {
    answered = detail.requestConfig?.elt.closest('form') ?? null
  })

  // Against what the server wrote, not against what was there on arrival: browsers fill fields again after a reload.
  function isChanged(field) {
    if (field.type === 'radio' || field.type === 'checkbox') return field.checked !== field.defaultChecked
    if (field.localName !== 'select') return field.value !== field.defaultValue
    if (field.multiple) return [...field.options].some((option) => option.selected !== option.defaultSelected)
    const written = [...field.options].find((option) => option.defaultSelected) ?? field.options[0]
    return Boolean(written) && field.value !== written.value
  }

  const chosenIn = (select) => [...select.selectedOptions].map((option) => option.value)

  // Parts are matched by their place: another field there must not take over what was meant for this one.
  function isSame(field, fresh) {
    const isChoice = field.type === 'radio' || field.type === 'checkbox'
    return field.name === fresh.name && field.type === fresh.type && (!isChoice || field.value === fresh.value)
  }

  function keep(field, fresh) {
    kept.delete(field)
    if (!field.matches?.('input, select, textarea') || (answered && field.form === answered)) return
    if (isChanged(field) && isSame(field, fresh)) kept.set(field, field.localName === 'select' ? chosenIn(field) : field.value)
  }

  // Options come and go; only what can still be chosen stays so.
  function chooseAgain(select) {
    if (select.localName !== 'select' || !kept.has(select)) return
    const chosen = kept.get(select)
    const offered = new Set([...select.options].map((option) => option.value))
    if (!chosen.every((value) => offered.has(value))) return
    for (const option of select.options) option.selected = chosen.includes(option.value)
  }

  if (window.Idiomorph) {
    Object.assign(Idiomorph.defaults.callbacks, {
      beforeNodeMorphed: keep,
      afterNodeMorphed: chooseAgain,
      beforeAttributeUpdated(name, node, change) {
        if (name === 'open' && node.localName === 'details') return change !== 'remove' && !turned.has(node)
        return !((name === 'value' || name === 'checked') && kept.has(node))
      },
    })
  }

  window.berth = Object.assign(window.berth ?? {}, { toast, openDialog, isChanged })
})()
