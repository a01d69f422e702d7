// The lease of this tab. It survives a reload, like the credential, and is forgotten with it.

import { effect, signal } from '@preact/signals'
import type { TriggerEvent } from './api'
import { onSignOut } from './session'

export interface Held {
  id: string
  until: string
  events: Pick<TriggerEvent, 'id' | 'type' | 'lease_count'>[]
}

const PLACE = 'triggers.lease'

export const held = signal<Held | null>(load())

effect(() => {
  if (held.value) sessionStorage.setItem(PLACE, JSON.stringify(held.value))
  else sessionStorage.removeItem(PLACE)
})
onSignOut(() => (held.value = null))

function load(): Held | null {
  try {
    return JSON.parse(sessionStorage.getItem(PLACE) ?? 'null') as Held | null
  } catch {
    return null
  }
}
