// Light or dark: what the system prefers, until the reader chooses. The console has the same choice.

const PLACE = 'triggers.theme'
const system = matchMedia('(prefers-color-scheme: dark)')

function isDark(): boolean {
  const chosen = localStorage.getItem(PLACE)
  return chosen === 'light' || chosen === 'dark' ? chosen === 'dark' : system.matches
}

/** Shows the theme and makes a button choose the other one. */
export function startTheme(button: HTMLElement) {
  const show = () => {
    document.documentElement.dataset['theme'] = isDark() ? 'dark' : 'light'
    button.textContent = isDark() ? 'Light' : 'Dark'
    button.setAttribute('aria-label', `Use the ${isDark() ? 'light' : 'dark'} theme`)
  }
  button.addEventListener('click', () => {
    localStorage.setItem(PLACE, isDark() ? 'light' : 'dark')
    show()
  })
  system.addEventListener('change', show)
  show()
}
