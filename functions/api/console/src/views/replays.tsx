// Replaying many events, and the replays of the tenant with their progress.

import { useState } from 'preact/hooks'
import { ApiError, call, get, withQuery, type Endpoint, type Replay, type ReplayPage } from '../api'
import { count, fromLocalInput, localInput, moment, percent } from '../format'
import { useLive } from '../live'
import { attempt, Button, Empty, Field, Loading, Pages, Problem, Status, Time } from '../ui'

const PAGE = 10

export function Replays() {
  const [cursors, setCursors] = useState([''])
  const [running, setRunning] = useState(false)
  const cursor = cursors.at(-1) ?? ''
  const load = async (abort: AbortSignal) => {
    const page = await get<ReplayPage>(withQuery('/api/replays', { limit: PAGE, cursor }), abort)
    setRunning(page.replays.some((one) => one.ended_at === null))
    return page
  }
  const { data, error, loading, refresh } = useLive(load, running ? 2 : 10, cursor)
  const endpoints = useLive((abort) => get<{ endpoints: Endpoint[] }>('/api/endpoints', abort), 0, '')
  const urls = new Map(endpoints.data?.endpoints.map((one) => [one.id, one.url]))
  return (
    <>
      <header class="title"><h1>Replays</h1></header>
      <NewReplay endpoints={endpoints.data?.endpoints ?? []} onStarted={() => { setCursors(['']); refresh() }} />
      <section class="card" aria-labelledby="list">
        <h2 id="list">Replays of the last 90 days</h2>
        <Problem error={error} />
        {loading && <Loading what="the replays" />}
        {data?.replays.length === 0 && cursors.length === 1 && <Empty title="No replay yet"><p>A replay sends all matching events again, where a delivery has ended. Its progress is shown here.</p></Empty>}
        {data?.replays.map((one) => <Progress key={one.id} replay={one} url={one.endpoint_id === null ? undefined : urls.get(one.endpoint_id) ?? one.endpoint_id} onChange={refresh} />)}
        <Pages label="Pages of replays" cursors={cursors} next={data?.next_cursor ?? null} onChange={setCursors} />
      </section>
    </>
  )
}

function NewReplay({ endpoints, onStarted }: { endpoints: Endpoint[]; onStarted: () => void }) {
  const [since, setSince] = useState(localInput(new Date(Date.now() - 3_600_000)))
  const [until, setUntil] = useState('')
  const [type, setType] = useState('')
  const [status, setStatus] = useState('failed')
  const [endpoint, setEndpoint] = useState('')
  const [rate, setRate] = useState('')
  const [error, setError] = useState<ApiError>()
  const [found, setFound] = useState<{ count: number; count_is_exact: boolean }>()

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
    await call<Replay>('POST', '/api/replays', { body, headers: { 'Idempotency-Key': crypto.randomUUID() } })
    setFound(undefined)
    onStarted()
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
              {endpoints.map((one) => <option value={one.id}>{one.url}</option>)}
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

function Progress({ replay, url, onChange }: { replay: Replay; url: string | undefined; onChange: () => void }) {
  const cancel = () => attempt(async () => {
    await call('DELETE', `/api/replays/${replay.id}`)
    onChange()
  }, 'The replay opens no more deliveries.')
  return (
    <article class="replay" aria-label={`Replay ${replay.id}`}>
      <p>
        <Status value={replay.state} /> <code class="break">{replay.id}</code> <span class="quiet"><Time at={replay.created_at} /></span>
        {replay.state === 'running' && <Button label={`Cancel ${replay.id}`} onClick={cancel}>Cancel</Button>}
      </p>
      <progress aria-label="Events seen" max={100} value={replay.state === 'done' ? 100 : percent(replay.seen, replay.count)} />
      <p class="quiet">{count(replay.seen)} of {count(replay.count)}{replay.count_is_exact ? '' : ' or more'} events seen, {count(replay.replayed)} replayed, {count(replay.deliveries)} deliveries opened.</p>
      <p class="quiet break">Events{replay.status !== null && ` with the status ${replay.status}`}{replay.type !== null && <> of the type <bdi>{replay.type}</bdi></>}, accepted from {moment(replay.since)} to {moment(replay.until)}{url !== undefined && <>, to <bdi>{url}</bdi></>}.</p>
    </article>
  )
}
