// Repairs what Swagger UI shows: fields without a name, scrolling text without focus, and a dialog that a screen reader does
// not recognise and that does not keep the focus.

const NAMES: [string, string][] = [
  ['.close-modal', 'Close'],
  ['.examples-select-element', 'Example'],
  ['textarea.body-param__text', 'Request body'],
]

const FOCUSABLE = 'button:not(:disabled), input:not(:disabled), a[href], select, textarea'

/** What had the focus last, outside the dialog. */
let before: HTMLElement | null = null
let dialog: HTMLElement | null = null

/** Watches what is shown in an element. */
export function watch(content: HTMLElement) {
  new MutationObserver(() => repair(content)).observe(content, { childList: true, subtree: true })
  document.addEventListener('focusin', ({ target }) => {
    if (target instanceof HTMLElement && !target.closest('.dialog-ux')) before = target
  })
  document.addEventListener('keydown', (event) => {
    if (!dialog) return
    if (event.key === 'Escape') dialog.querySelector<HTMLElement>('.close-modal')?.click()
    if (event.key === 'Tab') stay(event, dialog)
  })
}

function repair(content: HTMLElement) {
  for (const [selector, name] of NAMES) {
    for (const element of content.querySelectorAll(`${selector}:not([aria-label])`)) element.setAttribute('aria-label', name)
  }
  for (const element of content.querySelectorAll('.microlight:not([tabindex])')) element.setAttribute('tabindex', '0')
  // These names differ from the texts of the buttons. A reader who controls the browser by voice says the text.
  for (const button of content.querySelectorAll('.auth-btn-wrapper [aria-label]')) button.removeAttribute('aria-label')
  // Swagger UI calls this table a region, and a region needs a name.
  for (const table of content.querySelectorAll('.responses-table[role]')) table.removeAttribute('role')
  const found = content.querySelector<HTMLElement>('.modal-ux')
  if (found === dialog) return
  if (found) {
    for (const [name, value] of [['role', 'dialog'], ['aria-modal', 'true'], ['aria-label', 'Authorizations']] as const) found.setAttribute(name, value)
    ;(found.querySelector<HTMLElement>('input') ?? found.querySelector<HTMLElement>('button'))?.focus()
  } else {
    before?.focus()
  }
  dialog = found
}

/** Keeps the focus in the dialog. */
function stay(event: KeyboardEvent, within: HTMLElement) {
  const all = [...within.querySelectorAll<HTMLElement>(FOCUSABLE)]
  const [first, last] = [all[0], all.at(-1)]
  const isAtEnd = document.activeElement === (event.shiftKey ? first : last)
  if (!isAtEnd && within.contains(document.activeElement)) return
  event.preventDefault()
  ;(event.shiftKey ? last : first)?.focus()
}
