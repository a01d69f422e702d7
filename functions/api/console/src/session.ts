// The credential of this tab. It lives in sessionStorage: it survives a reload, and ends with the tab.

import { signal } from '@preact/signals'

export interface Credential {
  kind: 'key' | 'admin'
  value: string
}

const PLACE = 'triggers.credential'

export const credential = signal<Credential | null>(load())

/** Why the last session ended. The sign-in shows it. */
export const goodbye = signal('')

/** Removes what belongs to a session, such as a lease, when it ends. */
const belongings: (() => void)[] = []

export function onSignOut(forget: () => void) {
  belongings.push(forget)
}

export function signIn(next: Credential) {
  sessionStorage.setItem(PLACE, JSON.stringify(next))
  goodbye.value = ''
  credential.value = next
}

export function signOut(reason = '') {
  for (const forget of belongings) forget()
  sessionStorage.removeItem(PLACE)
  goodbye.value = reason
  credential.value = null
}

function load(): Credential | null {
  try {
    const found: unknown = JSON.parse(sessionStorage.getItem(PLACE) ?? 'null')
    const isCredential =
      typeof found === 'object' && found !== null && 'kind' in found && 'value' in found
    return isCredential ? (found as Credential) : null
  } catch {
    return null
  }
}
