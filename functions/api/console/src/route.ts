// The view that the fragment of the URL names, such as #/events?status=failed. A fragment is never sent to a server.

import { computed, signal } from '@preact/signals'

const fragment = signal(location.hash)
addEventListener('hashchange', () => (fragment.value = location.hash))

export interface Route {
  /** The segments of the path, such as ['events', 'evt_1']. */
  path: string[]
  query: URLSearchParams
}

export const route = computed<Route>(() => {
  const [path = '', query = ''] = fragment.value.replace(/^#\/?/, '').split(/\?(.*)/s)
  const segments = path.split('/').filter(Boolean).map(decoded)
  return { path: segments, query: new URLSearchParams(query) }
})

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

/** Returns the link to a view. Empty values are left out. */
export function href(path: string, query: Record<string, string> = {}): string {
  const named = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== ''))
  return named.size > 0 ? `#/${path}?${named}` : `#/${path}`
}

export function go(path: string, query: Record<string, string> = {}) {
  location.hash = href(path, query)
}

/** Changes the query of this view without a new entry in the history. */
export function refine(query: Record<string, string>) {
  history.replaceState(null, '', href(route.value.path.join('/'), query))
  fragment.value = location.hash
}
