// Light or dark: what the system prefers, until the reader chooses.

import { effect, signal } from '@preact/signals'

type Theme = 'light' | 'dark'

const PLACE = 'triggers.theme'
const system = matchMedia('(prefers-color-scheme: dark)')
const preferred = (): Theme => (system.matches ? 'dark' : 'light')
const chosen = (): Theme | null => {
  const found = localStorage.getItem(PLACE)
  return found === 'light' || found === 'dark' ? found : null
}

export const theme = signal<Theme>(chosen() ?? preferred())

system.addEventListener('change', () => (theme.value = chosen() ?? preferred()))
effect(() => {
  document.documentElement.dataset['theme'] = theme.value
})

export function toggleTheme() {
  theme.value = theme.value === 'dark' ? 'light' : 'dark'
  localStorage.setItem(PLACE, theme.value)
}
