// The log of events: newest first, page by page, with filters that the URL keeps.

import { useState } from 'preact/hooks'
import { get, withQuery, type EventPage, type EventStatus, type TriggerEvent } from '../api'
import { fromLocalInput, localInput } from '../format'
import { useLive } from '../live'
import { go, href, refine, route } from '../route'
import { Button, Empty, Field, Loading, Pages, Problem, Status, Time } from '../ui'
import { FirstCurl } from './first-curl'

const STATUSES: EventStatus[] = ['pending', 'delivering', 'delivered', 'failed', 'acked', 'quarantined', 'unmatched']
const PAGE = 50
/** The largest number of pages that are read for one screen: a filtered page can be short. */
const SHORT_PAGES = 5

async function load(query: Record<string, string>, cursor: string, abort: AbortSignal): Promise<EventPage> {
  const events: TriggerEvent[] = []
  let next: string | null = cursor
  for (let page = 0; page < SHORT_PAGES && next !== null && events.length < PAGE; page += 1) {
    const path: string = withQuery('/api/events', { ...query, limit: PAGE - events.length, cursor: next })
    const found: EventPage = await get(path, abort)
    events.push(...found.events)
    next = found.next_cursor
  }
  return { events, next_cursor: next }
}

export function Events() {
  const query = Object.fromEntries(['type', 'status', 'since', 'until'].map((name) => [name, route.value.query.get(name) ?? '']))
  const filter = JSON.stringify(query)
  const [pages, setPages] = useState<{ filter: string; cursors: string[] }>({ filter, cursors: [''] })
  const cursors = pages.filter === filter ? pages.cursors : ['']
  const cursor = cursors.at(-1) ?? ''
  const isFirst = cursors.length === 1
  const { data, error, loading, refresh } = useLive((abort) => load(query, cursor, abort), isFirst ? 3 : 15, filter + cursor)
  const next = data?.next_cursor ?? null
  const isFiltered = Object.values(query).some((value) => value !== '')

  return (
    <>
      <header class="title">
        <h1>Events</h1>
        <div class="actions"><Button onClick={refresh}>Refresh</Button><Button kind="primary" onClick={() => go('send')}>Send a test event</Button></div>
      </header>
      <Filter query={query} types={[...new Set(data?.events.map((event) => event.type))]} />
      <Problem error={error} />
      {loading && <Loading what="the events" />}
      {data?.events.length === 0 && (isFiltered || !isFirst
        ? <Empty title="No event matches"><p>{next === null ? 'Change the filter, or remove it.' : 'None so far. Older events have not been searched yet.'}</p></Empty>
        : <Empty title="No event yet"><p>Post the first one:</p><FirstCurl /></Empty>)}
      {data && data.events.length > 0 && <Table events={data.events} />}
      {data && <Pages cursors={cursors} next={next} onChange={(cursors) => setPages({ filter, cursors })} />}
    </>
  )
}

function Filter({ query, types }: { query: Record<string, string>; types: string[] }) {
  const change = (name: string, value: string) => refine({ ...query, [name]: value })
  const local = (name: string) => (query[name] ? localInput(new Date(query[name])) : '')
  const anyTime = !query['since'] && !query['until']
  return (
    <form class="filter" aria-label="Filter" onSubmit={(event) => event.preventDefault()}>
      <Field label="Type">
        {(attributes) => (
          <input {...attributes} list="types" spellcheck={false} placeholder="order.created" value={query['type'] ?? ''}
            onChange={(event) => change('type', event.currentTarget.value.trim())} />
        )}
      </Field>
      <datalist id="types">{types.map((type) => <option value={type} />)}</datalist>
      <Field label="Status">
        {(attributes) => (
          <select {...attributes} value={query['status'] ?? ''} onChange={(event) => change('status', event.currentTarget.value)}>
            <option value="">any</option>
            {STATUSES.map((status) => <option value={status}>{status}</option>)}
          </select>
        )}
      </Field>
      <Field label="From">
        {(attributes) => <input {...attributes} type="datetime-local" step={1} value={local('since')} onChange={(event) => change('since', fromLocalInput(event.currentTarget.value))} />}
      </Field>
      <Field label="Before">
        {(attributes) => <input {...attributes} type="datetime-local" step={1} value={local('until')} onChange={(event) => change('until', fromLocalInput(event.currentTarget.value))} />}
      </Field>
      {(query['type'] || query['status'] || !anyTime) && <Button onClick={() => refine({})}>Remove the filter</Button>}
    </form>
  )
}

function Table({ events }: { events: TriggerEvent[] }) {
  return (
    <div class="scroll">
      <table class="events">
        <thead><tr><th scope="col">Accepted</th><th scope="col">Type</th><th scope="col">Status</th><th scope="col" class="number">Attempts</th><th scope="col">Id</th></tr></thead>
        <tbody>
          {events.map((event) => (
            <tr key={event.id}>
              <td><Time at={event.created_at} /></td>
              <td class="break"><a href={href(`events/${event.id}`)}><bdi>{event.type}</bdi></a></td>
              <td><Status value={event.status} /></td>
              <td class="number">{event.attempts}</td>
              <td class="mono quiet">{event.id}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
