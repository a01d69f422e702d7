// The client of the API, by infra/openapi.json. All requests go to the origin and the base path of this page.

import { signal } from '@preact/signals'
import { credential, signOut, type Credential } from './session'

export type EventStatus =
  'pending' | 'delivering' | 'delivered' | 'failed' | 'acked' | 'quarantined' | 'unmatched'
export type Verdict = 'delivered' | 'retry' | 'put_off' | 'give_up' | 'disable_endpoint'

export interface Attempt {
  event_id: string
  endpoint_id: string
  replay_id: string | null
  n: number
  probe: boolean
  at: string
  duration_ms: number
  status: number | null
  verdict: Verdict
  error: string | null
  answer: string | null
}

export interface Delivery {
  endpoint_id: string
  url: string | null
  state: 'open' | 'delivered' | 'failed' | 'cancelled' | 'acked'
  replay_id: string | null
  attempts: number
  next_at: string | null
  history: Attempt[]
  history_truncated: boolean
}

export interface TriggerEvent {
  id: string
  type: string
  payload: unknown
  created_at: string
  status: EventStatus
  attempts: number
  dedup_id?: string
  lease_count?: number
  deliveries?: Delivery[]
}

export interface EventPage {
  events: TriggerEvent[]
  next_cursor: string | null
}

export interface Endpoint {
  id: string
  url: string
  description: string
  event_types: string[]
  header_names: string[]
  rate_per_second: number
  throttled_rate_per_minute: number | null
  signing: 'hmac' | 'ed25519'
  public_key: string | null
  previous_secret_until: string | null
  handshake: boolean
  handshake_at: string | null
  allowed_rate_per_minute: number | null
  paused: boolean
  state: 'active' | 'open' | 'disabled'
  failures: number
  failing_since: string | null
  last_error: string | null
  last_delivered_at: string | null
  next_probe_at: string | null
  pending?: number
  created_at: string
  secret?: string
}

export type TestAttempt = Pick<Attempt, 'event_id' | 'at' | 'duration_ms' | 'status' | 'verdict' | 'error' | 'answer'>

export interface Explanation {
  hidden_headers: string[]
  endpoints: {
    endpoint_id: string
    url: string
    matches: boolean
    matched_pattern: string | null
    state: string
    would: 'nothing' | 'send' | 'park' | 'fail'
    request: { method: string; url: string; headers: Record<string, string>; body: string | null } | null
  }[]
}

export interface Stats {
  since: string
  until: string
  accepted: number
  stored: number
  delivered: number
  failed: number
  acked: number
  pending: number
  max_pending: number
  delivery_allowance: { units_per_minute: number; used_until: string | null }
  first_attempt_ms: { count: number; p50: number | null; p95: number | null; p99: number | null }
  step_seconds?: number
  series?: StatsBucket[]
}

export type StatsBucket = Pick<Stats, 'accepted' | 'stored' | 'delivered' | 'failed' | 'acked'> & { at: string }

export interface FailedEvent {
  id: string
  reason: string
}

export interface Lease {
  lease_id: string | null
  leased_until: string | null
  results: TriggerEvent[]
}

export interface Replay {
  id: string
  state: 'running' | 'cancelling' | 'cancelled' | 'done'
  created_at: string
  ended_at: string | null
  since: string
  until: string
  type: string | null
  status: string | null
  endpoint_id: string | null
  count: number
  count_is_exact: boolean
  seen: number
  replayed: number
  deliveries: number
}

export interface ReplayPage {
  replays: Replay[]
  next_cursor: string | null
}

export interface Key {
  id: string
  name: string
  scopes: string[]
  rate_limit_per_minute: number
  last4: string
  created_at: string
  last_used_at: string | null
  expires_at: string | null
  api_key?: string
}

export interface Tenant {
  organization_id: string
  organization_name: string
  tier: string
  rate_limit_per_minute: number
  retention_days: number
  max_retention_days: number
  inbox: 'all' | 'matched'
  handshake: boolean
  created_at: string
}

export interface ListedTenant {
  organization_id: string
  organization_name: string
  tier: string
  rate_limit_per_minute: number
  created_at: string
  suspended_at: string | null
  suspended_reason: string | null
}

export interface Erasure {
  state: 'running' | 'done'
  requested_at: string
  completed_at: string | null
  items_deleted: number
  times_looked_through: number
  lives_on: { what: string; for: string }[]
}

/** The URL of the API without a slash at its end: the page is at `{base}/console`. */
export const base = location.origin + location.pathname.replace(/\/console\/?$/, '').replace(/\/$/, '')

/** A refusal, as the problem document of the API says it. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    detail: string,
    readonly slug: string,
    readonly members: { pointer?: string; parameter?: string; detail: string }[],
    readonly retryAfter: number,
    readonly requestId: string,
  ) {
    super(detail)
  }
}

/** What the last answer said of the rate limit. */
export const rateLimit = signal<{ name: string; limit: number; left: number; resets: number } | null>(null)

interface Options {
  body?: unknown
  /** A JSON text that is sent as it is. */
  text?: string
  headers?: Record<string, string>
  /** Another credential than that of the session. A 401 then does not end the session. */
  as?: Credential
  abort?: AbortSignal | undefined
}

/** Sends a request. Throws an `ApiError` for an answer that is not 2xx. */
export async function send(method: string, path: string, options: Options = {}): Promise<Response> {
  const who = options.as ?? credential.value
  const headers = new Headers(options.headers)
  // fetch throws at a header with other characters.
  if (who && !/^[!-~]*$/.test(who.value)) throw new ApiError(401, 'A credential has printable ASCII characters only.', '', [], 0, '')
  if (who && who.value !== '') headers.set(who.kind === 'key' ? 'X-API-Key' : 'X-Admin-Token', who.value)
  const body = options.text ?? (options.body === undefined ? null : JSON.stringify(options.body))
  if (body !== null) headers.set('Content-Type', 'application/json')
  let answer: Response
  try {
    answer = await fetch(base + path, { method, headers, body, signal: options.abort ?? null, cache: 'no-store' })
  } catch (error) {
    if (options.abort?.aborted) throw error
    throw new ApiError(0, 'The API did not answer. Check the network; this page tries again.', 'unreachable', [], 0, '')
  }
  noteRateLimit(answer.headers)
  if (answer.ok) return answer
  const problem = await refusal(answer)
  if (answer.status === 401 && !options.as) {
    const what = who?.kind === 'admin' ? 'admin token' : 'API key'
    signOut(`You are signed out: the ${what} is not valid any more. It was revoked or has expired. Sign in with another one.`)
  }
  throw problem
}

export async function call<T>(method: string, path: string, options: Options = {}): Promise<T> {
  const answer = await send(method, path, options)
  return (answer.status === 204 ? undefined : await answer.json()) as T
}

export function get<T>(path: string, abort?: AbortSignal): Promise<T> {
  return call<T>('GET', path, { abort })
}

async function refusal(answer: Response): Promise<ApiError> {
  const document = (await answer.json().catch(() => ({}))) as {
    type?: string
    detail?: string
    message?: string
    errors?: { pointer?: string; parameter?: string; detail: string }[]
    instance?: string
  }
  const detail = document.detail ?? document.message ?? `The API answered ${answer.status}.`
  const slug = document.type?.split(':').pop() ?? ''
  const wait = Number(answer.headers.get('Retry-After')) || 0
  return new ApiError(answer.status, detail, slug, document.errors ?? [], wait, document.instance ?? '')
}

/** Reads the headers RateLimit-Policy (`"events";q=1000;w=60`) and RateLimit (`"events";r=999;t=42`). */
function noteRateLimit(headers: Headers) {
  const numbers = (name: string) => Object.fromEntries(
    [...(headers.get(name) ?? '').matchAll(/;\s*([a-z])=(\d+)/g)].map(([, member, value]) => [member, Number(value)]),
  ) as Record<string, number | undefined>
  const { q } = numbers('RateLimit-Policy')
  const { r, t } = numbers('RateLimit')
  const name = /^"(\w+)"/.exec(headers.get('RateLimit') ?? '')?.[1] ?? ''
  if (q !== undefined && r !== undefined) rateLimit.value = { name, limit: q, left: r, resets: t ?? 0 }
}

/** Returns the path with a query. Empty values are left out. */
export function withQuery(path: string, query: Record<string, string | number | null | undefined>): string {
  const present = Object.entries(query).filter(([, value]) => value !== '' && value !== null && value !== undefined)
  const text = new URLSearchParams(present.map(([name, value]) => [name, String(value)])).toString()
  return text ? `${path}?${text}` : path
}
