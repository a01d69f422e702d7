// The inbox: events that wait for a client, or for another attempt at an endpoint.

import { useState } from 'preact/hooks'
import { call, get, withQuery, type EventPage, type FailedEvent } from '../api'
import { useLive } from '../live'
import { refine, route, href } from '../route'
import { announce, attempt, Button, Empty, Field, Loading, Pages, Problem, Status, Time } from '../ui'
import { FirstCurl } from './first-curl'
import { LeaseForm, LeasePanel } from './lease'
import { held } from '../held'

const STATUSES = ['pending', 'delivering', 'failed', 'quarantined']
const PAGE = 50

/** Says how many events an action changed, and why it left out the others. */
function report(what: string, changed: string[], failed: FailedEvent[]) {
  const reasons = [...new Set(failed.map((one) => one.reason.replaceAll('-', ' ')))].join(', ')
  announce(`${changed.length} ${what}.${failed.length > 0 ? ` ${failed.length} not: ${reasons}.` : ''}`, failed.length > 0)
}

export function Inbox() {
  const status = route.value.query.get('status') ?? ''
  const type = route.value.query.get('type') ?? ''
  const [cursors, setCursors] = useState([''])
  const [chosen, setChosen] = useState<string[]>([])
  const cursor = cursors.at(-1) ?? ''
  const load = (abort: AbortSignal) => get<EventPage>(withQuery('/api/inbox', { status, type, cursor, limit: PAGE, order: 'asc' }), abort)
  const { data, error, loading, refresh } = useLive(load, 4, JSON.stringify([status, type, cursor]))
  const shown = data?.events ?? []
  const selected = chosen.filter((id) => shown.some((event) => event.id === id))
  const next = data?.next_cursor ?? null

  const filter = (query: { status: string; type: string }) => {
    setCursors([''])
    setChosen([])
    refine(query)
  }
  const toggle = (id: string) => setChosen(chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen, id])
  const acknowledge = () => attempt(async () => {
    const { acked, failed } = await call<{ acked: string[]; failed: FailedEvent[] }>('POST', '/api/inbox/ack', { body: { event_ids: selected } })
    report('acknowledged', acked, failed)
    setChosen([])
    refresh()
  })
  const release = () => attempt(async () => {
    const { released, failed } = await call<{ released: string[]; failed: FailedEvent[] }>('POST', '/api/inbox/release', { body: { event_ids: selected } })
    report('released from quarantine', released, failed)
    setChosen([])
    refresh()
  })

  return (
    <>
      <header class="title"><h1>Inbox</h1></header>
      {held.value ? <LeasePanel onChange={refresh} /> : <LeaseForm onChange={refresh} />}
      <form class="filter" aria-label="Filter" onSubmit={(event) => event.preventDefault()}>
        <Field label="Status">
          {(attributes) => (
            <select {...attributes} value={status} onChange={(event) => filter({ type, status: event.currentTarget.value })}>
              <option value="">any</option>
              {STATUSES.map((one) => <option value={one}>{one}</option>)}
            </select>
          )}
        </Field>
        <Field label="Type">
          {(attributes) => <input {...attributes} spellcheck={false} value={type} onChange={(event) => filter({ status, type: event.currentTarget.value.trim() })} />}
        </Field>
        <div class="actions">
          <Button disabled={selected.length === 0} onClick={acknowledge}>Acknowledge {selected.length || ''}</Button>
          <Button disabled={selected.length === 0} onClick={release}>Release from quarantine</Button>
        </div>
      </form>
      <Problem error={error} />
      {loading && <Loading what="the inbox" />}
      {data && shown.length === 0 && (status !== '' || type !== ''
        ? <Empty title="No event matches"><p>{next === null ? 'Change the filter.' : 'Not on this page. Look at the next one.'}</p></Empty>
        : <Empty title="The inbox is empty"><p>No event waits here. An event enters when no endpoint matches it, or when its delivery fails or is late. To post one:</p><FirstCurl /></Empty>)}
      {shown.length > 0 && (
        <div class="scroll">
          <table class="events">
            <thead>
              <tr>
                <th scope="col"><input type="checkbox" aria-label="Select all" checked={selected.length === shown.length} onChange={() => setChosen(selected.length === shown.length ? [] : shown.map((event) => event.id))} /></th>
                <th scope="col">Accepted</th><th scope="col">Type</th><th scope="col">Status</th><th scope="col">Id</th>
              </tr>
            </thead>
            <tbody>
              {shown.map((event) => (
                <tr key={event.id}>
                  <td><input type="checkbox" aria-label={`Select ${event.id}`} checked={selected.includes(event.id)} onChange={() => toggle(event.id)} /></td>
                  <td><Time at={event.created_at} /></td>
                  <td class="break"><a href={href(`events/${event.id}`)}><bdi>{event.type}</bdi></a></td>
                  <td><Status value={event.status} /></td>
                  <td class="mono quiet">{event.id}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <Pages cursors={cursors} next={next} back="Older" on="Newer" onChange={setCursors} />
    </>
  )
}
