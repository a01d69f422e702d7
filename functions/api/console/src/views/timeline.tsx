// What happened to an event, in the order of time.

import { useState } from 'preact/hooks'
import { attempt as act, Button, Status, Time } from '../ui'
import { call, type Attempt, type Delivery, type TriggerEvent } from '../api'
import { distance, duration } from '../format'
import { href } from '../route'

export function Timeline({ event }: { event: TriggerEvent }) {
  const deliveries = event.deliveries ?? []
  return (
    <>
      <ol class="timeline">
        <li class="good"><p><b>Accepted</b> <Time at={event.created_at} /></p><p class="quiet">In the durable queue, before the 202.</p></li>
        <li class="good"><p><b>Stored</b></p><p class="quiet">{matched(deliveries.length, event.status)}</p></li>
        {deliveries.length === 0 && event.status === 'acked' && <li class="good"><p><b>Acknowledged</b></p></li>}
        {deliveries.length === 0 && event.status === 'quarantined' && <li class="warn"><p><b>Quarantined</b></p><p class="quiet">It was leased too often without an acknowledgement. Release it in the <a href={href('inbox', { status: 'quarantined' })}>inbox</a>.</p></li>}
      </ol>
      {deliveries.map((delivery) => <DeliverySteps key={delivery.endpoint_id} eventId={event.id} delivery={delivery} />)}
    </>
  )
}

function matched(count: number, status: string): string {
  if (status === 'unmatched') return 'No endpoint matches its type, and the inbox of this tenant takes only matched events.'
  if (count === 0) return 'No endpoint matches its type: it waits in the inbox until it is acknowledged.'
  return count === 1 ? 'One endpoint matches its type.' : `${count} endpoints match its type.`
}

const ENDS: Record<Delivery['state'], string> = {
  open: '',
  delivered: 'The endpoint accepted the event.',
  failed: 'No attempt is left, or the endpoint is disabled. The event is in the inbox; a replay opens the delivery again.',
  cancelled: 'The endpoint was deleted.',
  acked: 'The event was acknowledged before the endpoint accepted it.',
}

const END_TONES = { open: 'busy', delivered: 'good', failed: 'bad', cancelled: 'idle', acked: 'idle' }

function DeliverySteps({ eventId, delivery }: { eventId: string; delivery: Delivery }) {
  const replay = () => act(
    () => call('POST', `/api/events/${eventId}/replay`, { body: { endpoint_id: delivery.endpoint_id } }),
    'The delivery is open again.',
  )
  return (
    <section class="delivery" aria-label={`Delivery to ${delivery.url ?? delivery.endpoint_id}`}>
      <h3>
        <Status value={delivery.state} />
        <a class="break" href={href(`endpoints/${delivery.endpoint_id}`)}>{delivery.url ?? 'a deleted endpoint'}</a>
        {delivery.state !== 'open' && delivery.url !== null && <Button label="Replay to this endpoint" onClick={replay}>Replay</Button>}
      </h3>
      {delivery.history_truncated && <p class="quiet">Older attempts are left out. <a href={href(`endpoints/${delivery.endpoint_id}`)}>The page of the endpoint lists them</a>.</p>}
      <ol class="timeline">
        {delivery.history.map((one) => <AttemptStep attempt={one} />)}
        {delivery.state === 'open'
          ? <NextStep delivery={delivery} />
          : <li class={END_TONES[delivery.state]}><p><b>{delivery.state[0]?.toUpperCase()}{delivery.state.slice(1)}</b></p><p class="quiet">{ENDS[delivery.state]}</p></li>}
      </ol>
    </section>
  )
}

/** An attempt that is due for longer than this waits for its endpoint. */
const LATE_MS = 60_000

function NextStep({ delivery }: { delivery: Delivery }) {
  const { next_at: due, attempts } = delivery
  const waits = due !== null && Date.now() - new Date(due).getTime() > LATE_MS
  return (
    <li class="busy">
      <p><b>Attempt {attempts + 1}</b> {due !== null && <>{waits ? 'was due' : 'is due'} <Time at={due} /> <span class="quiet">({distance(due)})</span></>}</p>
      {waits && <p class="quiet">It waits: <a href={href(`endpoints/${delivery.endpoint_id}`)}>the endpoint</a> is paused, its circuit breaker is open, or its rate is used up.</p>}
    </li>
  )
}

const VERDICTS: Record<Attempt['verdict'], string> = {
  delivered: 'delivered',
  retry: 'failed, another attempt follows',
  put_off: 'put off: the endpoint answered 429',
  give_up: 'failed, no attempt follows',
  disable_endpoint: 'failed: the endpoint answered 410 and is disabled',
}
const TONES: Record<Attempt['verdict'], string> = { delivered: 'good', retry: 'warn', put_off: 'warn', give_up: 'bad', disable_endpoint: 'bad' }

function AttemptStep({ attempt }: { attempt: Attempt }) {
  const [open, setOpen] = useState(false)
  return (
    <li class={TONES[attempt.verdict]}>
      <p>
        <b>{attempt.probe ? 'Probe' : 'Attempt'} {attempt.n}</b> <Time at={attempt.at} />
        {attempt.replay_id !== null && <span class="quiet"> replay</span>}
      </p>
      <p class="quiet">
        {attempt.status !== null ? <>HTTP {attempt.status}</> : <>{attempt.error?.replaceAll('_', ' ')}</>} after {duration(attempt.duration_ms)}: {VERDICTS[attempt.verdict]}.
      </p>
      {attempt.answer !== null && attempt.answer !== '' && (
        <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
          <summary>The answer</summary>
          <pre class="wrap answer" tabindex={0} role="region" aria-label="The answer">{attempt.answer}</pre>
        </details>
      )}
    </li>
  )
}
