// The health of an endpoint in one word.

import type { Endpoint } from './api'

export type Health = 'Healthy' | 'New' | 'Unsteady' | 'Slowed' | 'Paused' | 'Failing' | 'Disabled'

export function healthOf(endpoint: Endpoint): Health {
  if (endpoint.state === 'disabled') return 'Disabled'
  if (endpoint.paused) return 'Paused'
  if (endpoint.state === 'open') return 'Failing'
  if (endpoint.failures > 0) return 'Unsteady'
  if (endpoint.throttled_rate_per_minute !== null) return 'Slowed'
  return endpoint.last_delivered_at === null ? 'New' : 'Healthy'
}

/** What each word means. */
export const MEANING: Record<Health, string> = {
  Healthy: 'It accepted its last delivery.',
  New: 'It has accepted no delivery yet.',
  Unsteady: 'It failed since its last success. Its deliveries are tried again.',
  Slowed: 'It answered 429, so it gets fewer requests for a while.',
  Paused: 'You paused it. Its deliveries wait until you resume it.',
  Failing: 'Its circuit breaker is open. Its deliveries wait until a probe succeeds.',
  Disabled: 'It answered 410 or failed for five days. Its deliveries fail until you enable it.',
}

export const needsAttention = (endpoint: Endpoint) => !['Healthy', 'New'].includes(healthOf(endpoint))
