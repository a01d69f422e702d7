// Leasing events of the inbox, and what can be done with the lease.

import { useEffect, useState } from 'preact/hooks'
import { call, type FailedEvent, type Lease } from '../api'
import { distance } from '../format'
import { held } from '../held'
import { href } from '../route'
import { announce, attempt, Button, Field, Time } from '../ui'

export function LeaseForm({ onChange }: { onChange: () => void }) {
  const [seconds, setSeconds] = useState('300')
  const [limit, setLimit] = useState('10')
  const [types, setTypes] = useState('')
  const [open, setOpen] = useState(false)
  const lease = () => attempt(async () => {
    const list = types.split(/[\s,]+/).filter(Boolean)
    const body = { lease_seconds: Number(seconds), lease_limit: Number(limit), include_open: open, ...(list.length > 0 ? { types: list } : {}) }
    const got = await call<Lease>('POST', '/api/inbox/lease', { body })
    if (got.lease_id === null || got.leased_until === null) {
      announce('No event is free: all are leased, quarantined or being delivered.')
      return
    }
    const events = got.results.map(({ id, type, lease_count = 1 }) => ({ id, type, lease_count }))
    held.value = { id: got.lease_id, until: got.leased_until, events }
    announce(events.length === 1 ? '1 event is leased.' : `${events.length} events are leased.`)
    onChange()
  })
  return (
    <details class="card">
      <summary>Lease events</summary>
      <p class="quiet">No other client gets a leased event until the lease ends. An event that is leased too often without an acknowledgement is quarantined.</p>
      <form class="filter" aria-label="Lease" onSubmit={(event) => { event.preventDefault(); void lease() }}>
        <Field label="Seconds">{(attributes) => <input {...attributes} type="number" min={1} max={3600} required value={seconds} onInput={(event) => setSeconds(event.currentTarget.value)} />}</Field>
        <Field label="Events at most">{(attributes) => <input {...attributes} type="number" min={1} max={100} required value={limit} onInput={(event) => setLimit(event.currentTarget.value)} />}</Field>
        <Field label="Only types">{(attributes) => <input {...attributes} spellcheck={false} placeholder="all" value={types} onInput={(event) => setTypes(event.currentTarget.value)} />}</Field>
        <label class="check"><input type="checkbox" checked={open} onChange={() => setOpen(!open)} /> include events that are still being delivered</label>
        <div class="actions"><Button kind="primary" type="submit">Lease</Button></div>
      </form>
    </details>
  )
}

export function LeasePanel({ onChange }: { onChange: () => void }) {
  const lease = held.value
  const [, setNow] = useState(0)
  const [delay, setDelay] = useState('0')
  useEffect(() => {
    const timer = setInterval(() => setNow((n) => n + 1), 1000)
    return () => clearInterval(timer)
  }, [])
  if (!lease) return null
  const isOver = new Date(lease.until).getTime() < Date.now()

  /** Takes events out of the lease that this page shows. */
  const drop = (ids: string[]) => {
    const events = lease.events.filter((event) => !ids.includes(event.id))
    held.value = events.length > 0 ? { ...lease, events } : null
    onChange()
  }
  const acknowledge = (ids?: string[]) => attempt(async () => {
    const body = { lease_id: lease.id, ...(ids ? { event_ids: ids } : {}) }
    const { acked, failed } = await call<{ acked: string[]; failed: FailedEvent[] }>('POST', '/api/inbox/ack', { body })
    drop([...acked, ...failed.map((one) => one.id)])
    announce(`${acked.length} acknowledged.${failed.length > 0 ? ` ${failed.length} were not in the lease any more.` : ''}`)
  })
  const release = (ids?: string[]) => attempt(async () => {
    const body = { lease_id: lease.id, delay_seconds: Number(delay), ...(ids ? { event_ids: ids } : {}) }
    const { released, failed } = await call<{ released: string[]; failed: FailedEvent[] }>('POST', '/api/inbox/release', { body })
    drop([...released, ...failed.map((one) => one.id)])
    announce(`${released.length} released.`)
  })
  const extend = () => attempt(async () => {
    const { leased_until } = await call<{ leased_until: string }>('POST', '/api/inbox/extend', { body: { lease_id: lease.id, lease_seconds: 300 } })
    held.value = { ...lease, until: leased_until }
  }, 'The lease lasts five minutes from now.')

  return (
    <section class="card" aria-labelledby="lease">
      <header class="title">
        <h2 id="lease">Your lease of {lease.events.length} {lease.events.length === 1 ? 'event' : 'events'}</h2>
        <div class="actions">
          {isOver
            ? <Button onClick={() => { held.value = null; onChange() }}>Close</Button>
            : <><Button onClick={extend}>Extend to 5 min</Button><Button onClick={() => release()}>Release all</Button><Button kind="primary" onClick={() => acknowledge()}>Acknowledge all</Button></>}
        </div>
      </header>
      <p>{isOver ? 'It has ended: others can lease its events.' : <>It ends {distance(lease.until)}, at <Time at={lease.until} />.</>} <code class="break">{lease.id}</code></p>
      {!isOver && (
        <Field label="A released event can be leased again after (seconds)">
          {(attributes) => <input {...attributes} class="narrow" type="number" min={0} max={43200} value={delay} onInput={(event) => setDelay(event.currentTarget.value)} />}
        </Field>
      )}
      <ul class="rows">
        {lease.events.map((event) => (
          <li>
            <a class="break" href={href(`events/${event.id}`)}><bdi>{event.type}</bdi></a>
            <span class="mono quiet break">{event.id}</span>
            <span class="quiet">leased {event.lease_count} {event.lease_count === 1 ? 'time' : 'times'}</span>
            {!isOver && <span class="actions"><Button label={`Acknowledge ${event.id}`} onClick={() => acknowledge([event.id])}>Acknowledge</Button><Button label={`Release ${event.id}`} onClick={() => release([event.id])}>Release</Button></span>}
          </li>
        ))}
      </ul>
    </section>
  )
}
