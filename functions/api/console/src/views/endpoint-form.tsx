// Creating and changing an endpoint.

import { useState } from 'preact/hooks'
import { ApiError, call, get, type Endpoint, type EventPage } from '../api'
import { useLive } from '../live'
import { matches } from '../pattern'
import { announce, Button, Field, Problem } from '../ui'

const RECENT = 100

/** Reads `Name: value` lines. */
function headersOf(text: string): Record<string, string> {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return Object.fromEntries(lines.map((line) => {
    const [name = '', value = ''] = line.split(/:(.*)/s)
    return [name.trim(), value.trim()]
  }))
}

export function EndpointForm({ endpoint, onDone, onCancel }: { endpoint?: Endpoint; onDone: (endpoint: Endpoint) => void; onCancel: () => void }) {
  const [url, setUrl] = useState(endpoint?.url ?? '')
  const [description, setDescription] = useState(endpoint?.description ?? '')
  const [patterns, setPatterns] = useState(endpoint?.event_types.join('\n') ?? '*')
  const [headers, setHeaders] = useState('')
  const [removed, setRemoved] = useState<string[]>([])
  const [rate, setRate] = useState(String(endpoint?.rate_per_second ?? 30))
  const [signing, setSigning] = useState(endpoint?.signing ?? 'hmac')
  const [handshake, setHandshake] = useState(endpoint?.handshake ?? false)
  const [error, setError] = useState<ApiError>()
  const list = patterns.split('\n').map((line) => line.trim()).filter(Boolean)

  const save = async () => {
    setError(undefined)
    const cleared = Object.fromEntries(removed.map((name) => [name, null]))
    const body = {
      url: url === endpoint?.url ? undefined : url,
      description, event_types: list, rate_per_second: Number(rate), signing,
      headers: { ...cleared, ...headersOf(headers) },
      // Only a change is sent: without it, a new endpoint does what the tenant demands, and a stored one is not asked again.
      handshake: handshake === (endpoint?.handshake ?? false) ? undefined : handshake,
    }
    try {
      const saved = endpoint
        ? await call<Endpoint>('PATCH', `/api/endpoints/${endpoint.id}`, { body })
        : await call<Endpoint>('POST', '/api/endpoints', { body })
      onDone(saved)
      if (saved.handshake_at !== null && saved.handshake_at !== endpoint?.handshake_at) announce('The receiver allows webhooks from this service.')
    } catch (problem) {
      if (!(problem instanceof ApiError)) throw problem
      setError(problem)
    }
  }

  return (
    <form onSubmit={(event) => { event.preventDefault(); void save() }}>
      <Field label="URL" hint="https, with a public name. The local stack also takes http://127.0.0.1:PORT.">
        {(attributes) => <input {...attributes} type="url" required maxLength={2048} spellcheck={false} placeholder="https://hooks.example.com/triggers" value={url} onInput={(event) => setUrl(event.currentTarget.value)} />}
      </Field>
      <Field label="Description">
        {(attributes) => <input {...attributes} maxLength={255} value={description} onInput={(event) => setDescription(event.currentTarget.value)} />}
      </Field>
      <Field label="Patterns" hint="One on each line. * matches any number of characters.">
        {(attributes) => <textarea {...attributes} class="mono" rows={3} spellcheck={false} value={patterns} onInput={(event) => setPatterns(event.currentTarget.value)} />}
      </Field>
      <Preview patterns={list} />
      <div class="columns">
        <Field label="Requests per second">
          {(attributes) => <input {...attributes} type="number" min={1} max={1000} required value={rate} onInput={(event) => setRate(event.currentTarget.value)} />}
        </Field>
        <Field label="Signatures">
          {(attributes) => (
            <select {...attributes} value={signing} onChange={(event) => setSigning(event.currentTarget.value as Endpoint['signing'])}>
              <option value="hmac">v1 (HMAC-SHA-256)</option>
              <option value="ed25519">v1 and v1a (Ed25519)</option>
            </select>
          )}
        </Field>
      </div>
      {endpoint && endpoint.header_names.length > 0 && (
        <fieldset class="choices">
          <legend>Headers now (their values are never shown)</legend>
          {endpoint.header_names.map((name) => (
            <label>
              <input type="checkbox" checked={!removed.includes(name)} onChange={() => setRemoved(removed.includes(name) ? removed.filter((one) => one !== name) : [...removed, name])} /> <code class="break">{name}</code>
            </label>
          ))}
        </fieldset>
      )}
      <Field label={endpoint ? 'Headers to set' : 'Headers'} hint="Name: value, one on each line. They are added to each request.">
        {(attributes) => <textarea {...attributes} class="mono" rows={2} spellcheck={false} value={headers} onInput={(event) => setHeaders(event.currentTarget.value)} />}
      </Field>
      <fieldset class="choices">
        <legend>Ownership handshake</legend>
        <label><input type="checkbox" checked={handshake} onChange={() => setHandshake(!handshake)} /> Ask the receiver before a URL is set</label>
        <p class="hint">The service sends OPTIONS with WebHook-Request-Origin. Without a permission (WebHook-Allowed-Origin) the URL is not set. The receiver can also limit the rate.</p>
      </fieldset>
      <Problem error={error} />
      <div class="actions">
        <Button onClick={onCancel}>Cancel</Button>
        <Button kind="primary" type="submit">{endpoint ? 'Save' : 'Create'}</Button>
      </div>
    </form>
  )
}

/** Shows which types of the newest events the patterns match. */
function Preview({ patterns }: { patterns: string[] }) {
  const { data } = useLive((abort) => get<EventPage>(`/api/events?limit=${RECENT}`, abort), 0, '')
  if (!data) return null
  const types = [...new Set(data.events.map((event) => event.type))].sort()
  if (types.length === 0) return <p class="hint">No event yet, so there is no preview of what the patterns match.</p>
  const isMatched = (type: string) => patterns.some((pattern) => matches(pattern, type))
  const matched = types.filter(isMatched)
  return (
    <div class="preview" aria-live="polite">
      <p class="hint">Of the {types.length} types among the newest {data.events.length} events, {matched.length} match:</p>
      <ul>
        {types.slice(0, 30).map((type) => (
          <li class={isMatched(type) ? 'yes' : 'no'}><span class="break">{type}</span> <span class="hidden">{isMatched(type) ? 'matches' : 'does not match'}</span></li>
        ))}
        {types.length > 30 && <li class="no">and {types.length - 30} more</li>}
      </ul>
    </div>
  )
}
