// One event: its way from acceptance to each attempt, its payload, and what can be done with it.

import { useState } from 'preact/hooks'
import { call, send, type TriggerEvent } from '../api'
import { bytes } from '../format'
import { member, pretty } from '../json'
import { useLive } from '../live'
import { go, href } from '../route'
import { attempt, Button, Code, Confirm, Copy, Loading, Problem, Status, Time } from '../ui'
import { Timeline } from './timeline'

interface Shown {
  event: TriggerEvent
  /** The payload as it was accepted. */
  payload: string
}

async function load(id: string, abort: AbortSignal): Promise<Shown> {
  const answer = await send('GET', `/api/events/${encodeURIComponent(id)}`, { abort })
  const text = await answer.text()
  return { event: JSON.parse(text) as TriggerEvent, payload: member(text, 'payload') ?? '' }
}

const UNTAKEN = ['pending', 'delivering', 'failed', 'quarantined']

export function EventView({ id }: { id: string }) {
  const [deleting, setDeleting] = useState(false)
  const { data, error, loading, refresh } = useLive((abort) => load(id, abort), 2, id)
  const event = data?.event
  const isMissing = error?.status === 404

  const replay = () => attempt(async () => {
    await call('POST', `/api/events/${id}/replay`, { body: {} })
    refresh()
  }, 'The deliveries are open again.')
  const acknowledge = () => attempt(async () => {
    await call('POST', `/api/ack/${id}`)
    refresh()
  }, 'Acknowledged: no more deliveries are sent.')
  const remove = async () => {
    const gone = await attempt(() => call('DELETE', `/api/events/${id}`), 'The event is deleted.')
    setDeleting(false)
    if (gone) go('events')
  }

  return (
    <>
      <p class="crumbs"><a href={href('events')}>Events</a></p>
      <header class="title">
        <h1 class="break"><bdi>{event?.type ?? 'Event'}</bdi></h1>
        {event && !isMissing && (
          <div class="actions">
            <Button disabled={event.status === 'delivering' || event.deliveries?.length === 0} onClick={replay}>Replay</Button>
            <Button disabled={!UNTAKEN.includes(event.status)} onClick={acknowledge}>Acknowledge</Button>
            <Button kind="danger" onClick={() => setDeleting(true)}>Delete</Button>
          </div>
        )}
      </header>
      {loading && <Loading what="the event" />}
      <Problem error={error} />
      {isMissing && <p>An event is shown about a second after its 202. This page tries again. After its retention, or after its deletion, it is gone.</p>}
      {event && data && !isMissing && (
        <>
          <dl class="facts card">
            <dt>Status</dt><dd aria-live="polite"><Status value={event.status} /></dd>
            <dt>Id</dt><dd class="with-copy"><code class="break">{event.id}</code><Copy text={event.id} label="Copy the id" /></dd>
            {event.dedup_id !== undefined && <><dt>Dedup id</dt><dd class="break"><code>{event.dedup_id}</code></dd></>}
            <dt>Accepted</dt><dd><Time at={event.created_at} /> <span class="quiet">(<Time at={event.created_at} relative />)</span></dd>
            <dt>Attempts</dt><dd>{event.attempts}</dd>
          </dl>
          <section class="card" aria-labelledby="timeline">
            <h2 id="timeline">Timeline</h2>
            <Timeline event={event} />
          </section>
          <Payload text={data.payload} />
        </>
      )}
      {deleting && (
        <Confirm title="Delete the event?" action="Delete" onConfirm={remove} onClose={() => setDeleting(false)}>
          <p>The event, its payload and its attempts are deleted. This cannot be undone.</p>
        </Confirm>
      )}
    </>
  )
}

export function Payload({ text }: { text: string }) {
  const [raw, setRaw] = useState(false)
  return (
    <section class="card" aria-labelledby="payload">
      <header class="title">
        <h2 id="payload">Payload <span class="quiet">{bytes(new TextEncoder().encode(text).length)}</span></h2>
        <fieldset class="choices compact">
          <legend class="hidden">Form of the payload</legend>
          <label><input type="radio" name="form" checked={!raw} onChange={() => setRaw(false)} /> Pretty</label>
          <label><input type="radio" name="form" checked={raw} onChange={() => setRaw(true)} /> Raw</label>
        </fieldset>
      </header>
      <Code label="the payload" text={raw ? text : pretty(text)} wrap={raw} />
    </section>
  )
}
