// All endpoints of the tenant, and the creation of one.

import { useState } from 'preact/hooks'
import { get, type Endpoint } from '../api'
import { count } from '../format'
import { healthOf, MEANING } from '../health'
import { useLive } from '../live'
import { go, href } from '../route'
import { Button, Dialog, Empty, Loading, Problem, Secret, Status, Time } from '../ui'
import { EndpointForm } from './endpoint-form'

/** The largest number of waiting deliveries that the list counts for each endpoint. */
const MAX_COUNTED = 100

async function load(abort: AbortSignal): Promise<Endpoint[]> {
  return (await get<{ endpoints: Endpoint[] }>('/api/endpoints?pending=true', abort)).endpoints
}

export function Endpoints() {
  const [creating, setCreating] = useState(false)
  const [created, setCreated] = useState<Endpoint>()
  const { data, error, loading, refresh } = useLive(load, 5, '')

  return (
    <>
      <header class="title">
        <h1>Endpoints</h1>
        <div class="actions"><Button kind="primary" onClick={() => setCreating(true)}>Create an endpoint</Button></div>
      </header>
      <Problem error={error} />
      {loading && <Loading what="the endpoints" />}
      {data?.length === 0 && (
        <Empty title="No endpoint yet">
          <p>An endpoint is a URL of yours. It gets each event whose type matches its patterns, as a signed POST. Until there is one, events wait in the <a href={href('inbox')}>inbox</a>.</p>
        </Empty>
      )}
      {data && data.length > 0 && <Table endpoints={data} />}
      {data && data.length > 0 && <p class="hint">A success is recorded at most every 15 minutes.</p>}
      {creating && (
        <Dialog title="Create an endpoint" onClose={() => setCreating(false)}>
          <EndpointForm onDone={(endpoint) => { setCreating(false); setCreated(endpoint); refresh() }} onCancel={() => setCreating(false)} />
        </Dialog>
      )}
      {created?.secret !== undefined && <Secret title="The signing secret" value={created.secret} onClose={() => { setCreated(undefined); go(`endpoints/${created.id}`) }} />}
    </>
  )
}

const waiting = (deliveries: number) => `${count(deliveries)}${deliveries >= MAX_COUNTED ? ' or more' : ''}`

function Table({ endpoints }: { endpoints: Endpoint[] }) {
  return (
    <div class="scroll">
      <table class="events">
        <thead>
          <tr><th scope="col">Health</th><th scope="col">Endpoint</th><th scope="col">Patterns</th><th scope="col">Last success</th><th scope="col" class="number">Failures</th><th scope="col" class="number">Waiting</th><th scope="col">Next probe</th></tr>
        </thead>
        <tbody>
          {endpoints.map((endpoint) => (
            <tr key={endpoint.id}>
              <td title={MEANING[healthOf(endpoint)]}><Status value={healthOf(endpoint)} /></td>
              <td class="break">
                <a href={href(`endpoints/${endpoint.id}`)}>{endpoint.url}</a>
                {endpoint.description !== '' && <div class="quiet">{endpoint.description}</div>}
              </td>
              <td class="break"><code>{endpoint.event_types.slice(0, 3).join(' ')}{endpoint.event_types.length > 3 ? ` +${endpoint.event_types.length - 3}` : ''}</code></td>
              <td><Time at={endpoint.last_delivered_at} relative /></td>
              <td class="number">{count(endpoint.failures)}</td>
              <td class="number">{waiting(endpoint.pending ?? 0)}</td>
              <td>{endpoint.next_probe_at === null ? <span class="quiet">–</span> : <Time at={endpoint.next_probe_at} relative />}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
