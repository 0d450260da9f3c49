// What the depot's pages share: countdowns of the queue, and answers that belong to the question shown.
'use strict'
;(() => {
  const MINUTE = 60_000

  function words(left) {
    if (left <= 0) return 'overdue'
    const minutes = Math.floor(left / MINUTE)
    if (minutes < 1) return `${Math.floor(left / 1000)} s left`
    if (minutes < 60) return `${minutes} min left`
    if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min left`
    return `${Math.floor(minutes / 1440)} days left`
  }

  function tick() {
    for (const time of document.querySelectorAll('[data-countdown]')) {
      const left = Date.parse(time.dateTime) - Date.now()
      let note = time.nextElementSibling
      if (!note) {
        note = document.createElement('span')
        note.className = 'countdown numbers'
        time.after(note)
      }
      note.textContent = ` · ${words(left)}`
      time.closest('.ask-card')?.classList.toggle('is-urgent', left < 5 * MINUTE)
    }
  }

  // ---- what a closure would do is told for one EVSE and time: while the fields say another, it cannot be done ----
  function compare({ target }) {
    const answer = target.form?.closest('#close-evse')?.querySelector('form[data-answers]')
    if (!answer || answer === target.form) return
    const isOther = [...target.form.elements].some((field) => field.name && field.type !== 'hidden' && berth.isChanged(field))
    answer.classList.toggle('is-outdated', isOther)
    for (const button of answer.querySelectorAll('button')) button.disabled = isOther
  }
  document.addEventListener('input', compare)
  document.addEventListener('change', compare)

  tick()
  setInterval(tick, 1000)
  document.body.addEventListener('htmx:afterSettle', tick)
})()
