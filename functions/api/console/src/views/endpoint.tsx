// One endpoint: its health, its settings, its attempts, and what can be done with it.

import { useState } from 'preact/hooks'
import { call, get, type Endpoint, type TestAttempt } from '../api'
import { count, duration } from '../format'
import { healthOf, MEANING } from '../health'
import { useLive } from '../live'
import { go, href } from '../route'
import { attempt, Button, Confirm, Copy, Dialog, Loading, Problem, Secret, Status, Time } from '../ui'
import { Attempts } from './attempts'
import { EndpointForm } from './endpoint-form'

type Open = 'edit' | 'rotate' | 'delete' | null

export function EndpointView({ id }: { id: string }) {
  const path = `/api/endpoints/${encodeURIComponent(id)}`
  const { data: endpoint, error, loading, refresh } = useLive((abort) => get<Endpoint>(path, abort), 4, id)
  const [open, setOpen] = useState<Open>(null)
  const [secret, setSecret] = useState<string>()
  const [test, setTest] = useState<TestAttempt>()

  const change = (body: object, done: string) => attempt(async () => {
    await call('PATCH', path, { body })
    refresh()
  }, done)
  const enable = () => attempt(async () => {
    await call('POST', `${path}/enable`)
    refresh()
  }, 'Enabled: the circuit breaker is closed, and waiting deliveries are sent within a minute.')
  const tryIt = () => attempt(async () => {
    setTest(undefined)
    setTest(await call<TestAttempt>('POST', `${path}/test`))
    refresh()
  })
  const ask = () => change({ handshake: true }, 'The receiver allows webhooks from this service.')
  const rotate = () => attempt(async () => {
    const rotated = await call<Endpoint>('POST', `${path}/rotate-secret`, { body: {} })
    setOpen(null)
    setSecret(rotated.secret)
    refresh()
  })
  const remove = async () => {
    const gone = await attempt(() => call('DELETE', path), 'The endpoint is deleted.')
    setOpen(null)
    if (gone) go('endpoints')
  }

  const isStopped = endpoint !== undefined && (endpoint.paused || endpoint.state === 'disabled')
  return (
    <>
      <p class="crumbs"><a href={href('endpoints')}>Endpoints</a></p>
      <header class="title">
        <h1 class="break">{endpoint?.url ?? 'Endpoint'}</h1>
        {endpoint && (
          <div class="actions">
            <Button kind="primary" disabled={isStopped} onClick={tryIt}>Test</Button>
            {endpoint.state !== 'active' && <Button onClick={enable}>Enable</Button>}
            {endpoint.paused
              ? <Button onClick={() => change({ paused: false }, 'Resumed.')}>Resume</Button>
              : <Button onClick={() => change({ paused: true }, 'Paused: deliveries wait.')}>Pause</Button>}
            <Button onClick={() => setOpen('edit')}>Edit</Button>
            <Button onClick={() => setOpen('rotate')}>Rotate the secret</Button>
            <Button kind="danger" onClick={() => setOpen('delete')}>Delete</Button>
          </div>
        )}
      </header>
      {loading && <Loading what="the endpoint" />}
      <Problem error={error} />
      {test && <TestResult test={test} />}
      {endpoint && <Facts endpoint={endpoint} onAsk={ask} />}
      {endpoint && <Attempts path={path} />}
      {open === 'edit' && endpoint && (
        <Dialog title="Edit the endpoint" onClose={() => setOpen(null)}>
          <EndpointForm endpoint={endpoint} onDone={() => { setOpen(null); refresh() }} onCancel={() => setOpen(null)} />
        </Dialog>
      )}
      {open === 'rotate' && (
        <Confirm title="Rotate the secret?" action="Rotate" onConfirm={rotate} onClose={() => setOpen(null)}>
          <p>The new secret is shown once. For one day, requests are signed with the old secret too, so that your receiver can change in time.</p>
        </Confirm>
      )}
      {open === 'delete' && (
        <Confirm title="Delete the endpoint?" action="Delete" onConfirm={remove} onClose={() => setOpen(null)}>
          <p>Its open deliveries are cancelled. Their events are put into the inbox.</p>
        </Confirm>
      )}
      {secret !== undefined && <Secret title="The new signing secret" value={secret} onClose={() => setSecret(undefined)} />}
    </>
  )
}

function TestResult({ test }: { test: TestAttempt }) {
  return (
    <section class="card" aria-labelledby="test" aria-live="polite">
      <h2 id="test">Test <Status value={test.verdict === 'delivered' ? 'delivered' : 'failed'} /></h2>
      <p>{test.status !== null ? <>The endpoint answered HTTP {test.status}</> : <>No answer: {test.error?.replaceAll('_', ' ')}</>} after {duration(test.duration_ms)}.</p>
      {test.answer !== null && test.answer !== '' && <pre class="wrap answer" tabindex={0} role="region" aria-label="The answer">{test.answer}</pre>}
      {test.answer === '' && <p class="quiet">The answer has no body.</p>}
    </section>
  )
}

function Facts({ endpoint, onAsk }: { endpoint: Endpoint; onAsk: () => unknown }) {
  const health = healthOf(endpoint)
  return (
    <div class="columns">
      <section class="card" aria-labelledby="health">
        <h2 id="health">Health</h2>
        <dl class="facts">
          <dt>Now</dt><dd aria-live="polite"><Status value={health} /><p class="hint">{MEANING[health]}</p></dd>
          <dt>Last success</dt><dd><Time at={endpoint.last_delivered_at} relative />{endpoint.last_delivered_at !== null && <span class="quiet"> (the real one may be up to 15 min newer)</span>}</dd>
          <dt>Failures</dt><dd>{count(endpoint.failures)} since the last success{endpoint.failing_since !== null && <>, the first <Time at={endpoint.failing_since} relative /></>}</dd>
          {endpoint.last_error !== null && <><dt>Last failure</dt><dd class="break">{endpoint.last_error.replaceAll('_', ' ')}</dd></>}
          <dt>Waiting</dt><dd>{endpoint.pending === undefined ? '–' : `${count(endpoint.pending)}${endpoint.pending >= 10_000 ? ' or more' : ''} deliveries`}</dd>
          {endpoint.next_probe_at !== null && <><dt>Next probe</dt><dd><Time at={endpoint.next_probe_at} relative /></dd></>}
        </dl>
      </section>
      <section class="card" aria-labelledby="settings">
        <h2 id="settings">Settings</h2>
        <dl class="facts">
          <dt>Id</dt><dd class="with-copy"><code class="break">{endpoint.id}</code><Copy text={endpoint.id} label="Copy the id" /></dd>
          {endpoint.description !== '' && <><dt>Description</dt><dd class="break">{endpoint.description}</dd></>}
          <dt>Patterns</dt><dd>{endpoint.event_types.map((pattern) => <code class="chip break">{pattern}</code>)}</dd>
          <dt>Headers</dt><dd>{endpoint.header_names.length === 0 ? <span class="quiet">none</span> : endpoint.header_names.map((name) => <code class="chip break">{name}</code>)}</dd>
          <dt>Rate</dt><dd>{count(endpoint.rate_per_second)} per second{endpoint.throttled_rate_per_minute !== null && <>, now {count(endpoint.throttled_rate_per_minute)} per minute after a 429</>}</dd>
          <dt>Handshake</dt><dd class="with-copy"><Permission endpoint={endpoint} />{endpoint.handshake && <Button label="Ask the receiver again" onClick={onAsk}>Ask again</Button>}</dd>
          <dt>Signatures</dt><dd>{endpoint.signing === 'hmac' ? 'v1' : 'v1 and v1a'}</dd>
          {endpoint.public_key !== null && <><dt>Public key</dt><dd class="with-copy"><code class="break">{endpoint.public_key}</code><Copy text={endpoint.public_key} label="Copy the public key" /></dd></>}
          {endpoint.previous_secret_until !== null && <><dt>Old secret</dt><dd>signs until <Time at={endpoint.previous_secret_until} /></dd></>}
          <dt>Created</dt><dd><Time at={endpoint.created_at} /></dd>
        </dl>
      </section>
    </div>
  )
}

/** The result of the ownership handshake. */
function Permission({ endpoint }: { endpoint: Endpoint }) {
  if (endpoint.handshake_at === null) return <span class="quiet">{endpoint.handshake ? 'the next URL is asked' : 'not asked'}</span>
  const rate = endpoint.allowed_rate_per_minute
  return <span>allowed <Time at={endpoint.handshake_at} />{rate !== null && <>, at most {count(rate)} per minute</>}{!endpoint.handshake && <>; the next URL is not asked</>}</span>
}
