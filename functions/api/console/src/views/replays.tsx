// Replaying many events. The API lists no replays, so this tab remembers those that it has started or looked up.

import { useState } from 'preact/hooks'
import { effect, signal } from '@preact/signals'
import { ApiError, call, get, type Endpoint, type Replay } from '../api'
import { count, fromLocalInput, localInput, percent } from '../format'
import { useLive } from '../live'
import { onSignOut } from '../session'
import { attempt, Button, Empty, Field, Loading, Problem, Status, Time } from '../ui'

const PLACE = 'triggers.replays'
const known = signal<string[]>(load())
effect(() => sessionStorage.setItem(PLACE, JSON.stringify(known.value)))
onSignOut(() => (known.value = []))

function load(): string[] {
  try {
    const found: unknown = JSON.parse(sessionStorage.getItem(PLACE) ?? '[]')
    return Array.isArray(found) ? found.filter((id) => typeof id === 'string') : []
  } catch {
    return []
  }
}

const remember = (id: string) => (known.value = [id, ...known.value.filter((one) => one !== id)].slice(0, 20))

export function Replays() {
  const [id, setId] = useState('')
  const find = () => attempt(async () => {
    const found = await get<Replay>(`/api/replays/${encodeURIComponent(id.trim())}`)
    remember(found.id)
    setId('')
  })
  return (
    <>
      <header class="title"><h1>Replays</h1></header>
      <NewReplay />
      <section class="card" aria-labelledby="known">
        <h2 id="known">Replays of this tab</h2>
        {known.value.length === 0 && <Empty title="No replay yet"><p>A replay sends all matching events again, where a delivery has ended. Its progress is shown here. The API does not list replays: find an older one by its id.</p></Empty>}
        {known.value.map((one) => <Progress key={one} id={one} />)}
        <form class="filter" aria-label="Find a replay" onSubmit={(event) => { event.preventDefault(); void find() }}>
          <Field label="Id of a replay">{(attributes) => <input {...attributes} class="wide mono" required spellcheck={false} placeholder="rpl_…" value={id} onInput={(event) => setId(event.currentTarget.value)} />}</Field>
          <div class="actions"><Button type="submit">Find</Button></div>
        </form>
      </section>
    </>
  )
}

function NewReplay() {
  const [since, setSince] = useState(localInput(new Date(Date.now() - 3_600_000)))
  const [until, setUntil] = useState('')
  const [type, setType] = useState('')
  const [status, setStatus] = useState('failed')
  const [endpoint, setEndpoint] = useState('')
  const [rate, setRate] = useState('')
  const [error, setError] = useState<ApiError>()
  const [found, setFound] = useState<{ count: number; count_is_exact: boolean }>()
  const endpoints = useLive((abort) => get<{ endpoints: Endpoint[] }>('/api/endpoints', abort), 0, '')

  const body = { since: fromLocalInput(since), until: fromLocalInput(until) || null, type: type || null, status: status || null, endpoint_id: endpoint || null, rate_per_second: rate ? Number(rate) : null }
  const act = async (action: () => Promise<void>) => {
    setError(undefined)
    try {
      await action()
    } catch (problem) {
      if (!(problem instanceof ApiError)) throw problem
      setError(problem)
    }
  }
  const dryRun = () => act(async () => setFound(await call('POST', '/api/replays', { body: { ...body, dry_run: true } })))
  const start = () => act(async () => {
    const started = await call<Replay>('POST', '/api/replays', { body, headers: { 'Idempotency-Key': crypto.randomUUID() } })
    remember(started.id)
    setFound(undefined)
  })

  return (
    <form class="card" onSubmit={(event) => { event.preventDefault(); void start() }} onInput={() => setFound(undefined)}>
      <h2>Replay events</h2>
      <div class="grid">
        <Field label="Accepted from">{(attributes) => <input {...attributes} type="datetime-local" step={1} required value={since} onInput={(event) => setSince(event.currentTarget.value)} />}</Field>
        <Field label="Before" hint="Empty: until now.">{(attributes) => <input {...attributes} type="datetime-local" step={1} value={until} onInput={(event) => setUntil(event.currentTarget.value)} />}</Field>
        <Field label="Type">{(attributes) => <input {...attributes} spellcheck={false} placeholder="every type" value={type} onInput={(event) => setType(event.currentTarget.value.trim())} />}</Field>
        <Field label="Status">
          {(attributes) => (
            <select {...attributes} value={status} onChange={(event) => setStatus(event.currentTarget.value)}>
              <option value="failed">failed</option><option value="delivered">delivered</option><option value="acked">acked</option><option value="">every status</option>
            </select>
          )}
        </Field>
        <Field label="Endpoint">
          {(attributes) => (
            <select {...attributes} value={endpoint} onChange={(event) => setEndpoint(event.currentTarget.value)}>
              <option value="">every endpoint</option>
              {endpoints.data?.endpoints.map((one) => <option value={one.id}>{one.url}</option>)}
            </select>
          )}
        </Field>
        <Field label="Events per second">{(attributes) => <input {...attributes} type="number" min={1} max={1000} placeholder="as fast as allowed" value={rate} onInput={(event) => setRate(event.currentTarget.value)} />}</Field>
      </div>
      <Problem error={error} />
      {found && <p class="found" role="status"><b>{count(found.count)}{found.count_is_exact ? '' : ' or more'}</b> events match. Nothing was replayed.</p>}
      <div class="actions"><Button onClick={dryRun}>Count only</Button><Button kind="primary" type="submit">Replay</Button></div>
    </form>
  )
}

function Progress({ id }: { id: string }) {
  const [done, setDone] = useState(false)
  const load = async (abort: AbortSignal) => {
    const replay = await get<Replay>(`/api/replays/${encodeURIComponent(id)}`, abort)
    setDone(replay.ended_at !== null)
    return replay
  }
  const { data, error, loading, refresh } = useLive(load, done ? 0 : 2, id)
  const cancel = () => attempt(async () => {
    await call('DELETE', `/api/replays/${id}`)
    refresh()
  }, 'The replay opens no more deliveries.')
  return (
    <article class="replay" aria-label={`Replay ${id}`}>
      {loading && <Loading what="the replay" />}
      <Problem error={error} />
      {data && (
        <>
          <p>
            <Status value={data.state} /> <code class="break">{data.id}</code> <span class="quiet"><Time at={data.created_at} /></span>
            {data.state === 'running' && <Button label={`Cancel ${id}`} onClick={cancel}>Cancel</Button>}
          </p>
          <progress aria-label="Events seen" max={100} value={data.state === 'done' ? 100 : percent(data.seen, data.count)} />
          <p class="quiet">{count(data.seen)} of {count(data.count)}{data.count_is_exact ? '' : ' or more'} events seen, {count(data.replayed)} replayed, {count(data.deliveries)} deliveries opened.</p>
        </>
      )}
    </article>
  )
}
