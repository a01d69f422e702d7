// Sending a test event, and explaining what would happen to it.

import { useState } from 'preact/hooks'
import { ApiError, call, type Explanation } from '../api'
import { fault, member, pretty } from '../json'
import { go } from '../route'
import { announce, Badge, Button, Code, Empty, Field, Problem, Status } from '../ui'
import order from '../../../../../events/sample-order.json?raw'
import { body as valid } from '../../../../../events/ingest-valid.json'

interface Template {
  name: string
  type: string
  payload: string
}

function template(name: string, text: string): Template {
  return { name, type: JSON.parse(member(text, 'type') ?? '""') as string, payload: pretty(member(text, 'payload') ?? 'null') }
}

const TEMPLATES = [
  template('An order', order),
  template('The event of ingest-valid.json', valid),
  { name: 'An empty payload', type: 'example.empty', payload: '{}' },
] satisfies [Template, Template, Template]

export function Send() {
  const [form, setForm] = useState<Template & { dedup: string }>({ ...TEMPLATES[0], dedup: '' })
  const [error, setError] = useState<ApiError>()
  const [explanation, setExplanation] = useState<Explanation>()
  const wrong = fault(form.payload)

  // The payload goes into the body as it is written: JSON.stringify would change its numbers.
  const text = () => `{"type":${JSON.stringify(form.type)},"payload":${form.payload}${form.dedup ? `,"dedup_id":${JSON.stringify(form.dedup)}` : ''}}`
  const act = async (action: () => Promise<void>) => {
    setError(undefined)
    try {
      await action()
    } catch (problem) {
      if (!(problem instanceof ApiError)) throw problem
      setError(problem)
    }
  }
  const post = () => act(async () => {
    const accepted = await call<{ id: string }>('POST', '/api/events', { text: text() })
    announce('Accepted: the event is in the durable queue.')
    go(`events/${accepted.id}`)
  })
  const explain = () => act(async () => setExplanation(await call<Explanation>('POST', '/api/explain', { text: text() })))

  return (
    <>
      <header class="title"><h1>Send a test event</h1></header>
      <form class="card" onSubmit={(event) => { event.preventDefault(); void post() }}>
        <Field label="Template">
          {(attributes) => (
            <select {...attributes} onChange={(event) => setForm({ ...form, ...TEMPLATES[event.currentTarget.selectedIndex] })}>
              {TEMPLATES.map((one) => <option>{one.name}</option>)}
            </select>
          )}
        </Field>
        <div class="columns">
          <Field label="Type">
            {(attributes) => <input {...attributes} required maxLength={255} spellcheck={false} value={form.type} onInput={(event) => setForm({ ...form, type: event.currentTarget.value })} />}
          </Field>
          <Field label="Dedup id" hint="Optional. Within 24 hours, events with the same id are stored once.">
            {(attributes) => <input {...attributes} maxLength={255} spellcheck={false} value={form.dedup} onInput={(event) => setForm({ ...form, dedup: event.currentTarget.value })} />}
          </Field>
        </div>
        <Field label="Payload" hint={wrong === '' ? 'It is stored, signed and delivered exactly as it is written here.' : <span class="bad-text">This is not JSON: {wrong}</span>}>
          {(attributes) => (
            <textarea {...attributes} class="mono" rows={12} spellcheck={false} aria-invalid={wrong !== ''} value={form.payload}
              onInput={(event) => setForm({ ...form, payload: event.currentTarget.value })} />
          )}
        </Field>
        <Problem error={error} />
        <div class="actions">
          <Button disabled={wrong !== ''} onClick={explain}>Explain</Button>
          <Button kind="primary" type="submit" disabled={wrong !== ''}>Send</Button>
        </div>
      </form>
      {explanation && <Explained explanation={explanation} />}
    </>
  )
}

const WOULD = { nothing: 'would get nothing', send: 'would get it now', park: 'would get it later', fail: 'its delivery would fail' }

function Explained({ explanation }: { explanation: Explanation }) {
  return (
    <section class="card" aria-labelledby="explained" aria-live="polite">
      <h2 id="explained">What would happen</h2>
      <p class="quiet">Nothing was stored or sent.</p>
      {explanation.endpoints.length === 0 && <Empty title="No endpoint"><p>The event would wait in the inbox.</p></Empty>}
      {explanation.hidden_headers.length > 0 && <p class="hint">Not shown to this API key: {explanation.hidden_headers.join(', ')}.</p>}
      <ul class="rows tall">
        {explanation.endpoints.map((one) => (
          <li>
            <p>{one.state === 'open' ? <Badge tone="bad">circuit breaker open</Badge> : <Status value={one.state} />} <span class="break">{one.url}</span></p>
            <p>{one.matched_pattern !== null ? <>The pattern <code>{one.matched_pattern}</code> matches: it </> : 'No pattern matches: it '}{WOULD[one.would]}.</p>
            {one.request && (
              <details>
                <summary>The request</summary>
                <Code label="the request" wrap text={[`${one.request.method} ${one.request.url}`, ...Object.entries(one.request.headers).map(([name, value]) => `${name}: ${value}`), '', one.request.body ?? '(too long to show)'].join('\n')} />
              </details>
            )}
          </li>
        ))}
      </ul>
    </section>
  )
}
