// What the tenant does now, and what needs attention.

import { useState } from 'preact/hooks'
import { get, rateLimit, type Endpoint, type Stats } from '../api'
import { Bars } from '../chart'
import { bytes, count, distance, duration, short } from '../format'
import { healthOf, needsAttention } from '../health'
import { historyOf, total, WINDOWS, type Window } from '../history'
import { useLive } from '../live'
import { href } from '../route'
import { Badge, Empty, Loading, Meter, Problem, Status, Time } from '../ui'
import { FirstCurl } from './first-curl'

export function Overview() {
  const [window, setWindow] = useState<Window>(WINDOWS[0])
  const path = `/api/stats?window=${window.name}&step=${window.step}`
  const stats = useLive((abort) => get<Stats>(path, abort), 5, window.name)
  const endpoints = useLive((abort) => get<{ endpoints: Endpoint[] }>('/api/endpoints', abort), 10, '')

  return (
    <>
      <header class="title">
        <h1>Overview</h1>
        <fieldset class="choices compact">
          <legend class="hidden">Time window</legend>
          {WINDOWS.map((one) => (
            <label><input type="radio" name="window" checked={one === window} onChange={() => setWindow(one)} /> {one.label}</label>
          ))}
        </fieldset>
      </header>
      <Problem error={stats.error} />
      {stats.loading && <Loading what="the statistics" />}
      {stats.data && <Figures stats={stats.data} />}
      {stats.data && <Flow stats={stats.data} window={window} />}
      <div class="columns">
        {stats.data && <Limits stats={stats.data} />}
        <Attention endpoints={endpoints.data?.endpoints} error={endpoints.error} />
      </div>
    </>
  )
}

/** Draws the events and the failures of the window, which are the series of the same answer as the figures. */
function Flow({ stats, window }: { stats: Stats; window: Window }) {
  const { times, seconds, events, failures } = historyOf(stats.series ?? [], stats.step_seconds ?? 60)
  const each = `for each ${window.each}`
  return (
    <>
      <section class="card flow" aria-labelledby="flow">
        <h2 id="flow">Events <span class="quiet">{each}</span></h2>
        {total(events) + total(failures) === 0
          ? <FirstEvent />
          : <Bars label={`Events ${each}`} times={times} seconds={seconds} series={events} />}
      </section>
      <section class="card" aria-labelledby="failures">
        <h2 id="failures">Failures <span class="quiet">{each}</span></h2>
        {total(failures) === 0
          ? <p class="quiet">No delivery failed in this window. A delivery fails when it has no attempt left; attempts that are tried again are not counted here.</p>
          : <Bars label={`Failed deliveries ${each}`} times={times} seconds={seconds} series={failures} height={120} />}
      </section>
    </>
  )
}

function Figures({ stats }: { stats: Stats }) {
  const wait = stats.first_attempt_ms
  return (
    <dl class="figures">
      <Figure name="Accepted" value={short(stats.accepted)} note={`${perMinute(stats)} events a minute`} />
      <Figure name="Delivered" value={short(stats.delivered)} note="deliveries" />
      <Figure name="Failed" value={short(stats.failed)} note="deliveries" bad={stats.failed > 0} />
      <Figure name="Acknowledged" value={short(stats.acked)} note="events" />
      <div>
        <dt>From acceptance to first attempt</dt>
        <dd class="quantiles">
          {wait.p50 === null ? <span class="none">–</span> : (
            <>
              <span><b>{duration(wait.p50)}</b> p50</span>
              <span><b>{duration(wait.p95 ?? 0)}</b> p95</span>
              <span><b>{duration(wait.p99 ?? 0)}</b> p99</span>
            </>
          )}
        </dd>
        <dd class="note">estimates, up to 19 % too high</dd>
      </div>
    </dl>
  )
}

/** Returns the mean of the window. */
function perMinute(stats: Stats): string {
  const minutes = (new Date(stats.until).getTime() - new Date(stats.since).getTime()) / 60_000
  const mean = stats.accepted / Math.max(minutes, 1)
  return mean < 10 ? mean.toFixed(1) : count(Math.round(mean))
}

function Figure({ name, value, note, bad = false }: { name: string; value: string; note?: string; bad?: boolean }) {
  return <div><dt>{name}</dt><dd class={bad ? 'bad-text' : ''}>{value}</dd>{note && <dd class="note">{note}</dd>}</div>
}

function Limits({ stats }: { stats: Stats }) {
  const rate = rateLimit.value
  const used = stats.delivery_allowance.used_until
  return (
    <section class="card" aria-labelledby="limits">
      <h2 id="limits">Limits</h2>
      <Meter label="Backlog" value={stats.pending} max={stats.max_pending}
        note={`${count(stats.pending)} of ${short(stats.max_pending)} events in the inbox`} />
      {rate && <Meter label="Request limit" value={rate.limit - rate.left} max={rate.limit}
        note={`${count(rate.left)} of ${short(rate.limit)} requests left, full again in ${rate.resets} s`} />}
      <dl class="facts">
        <dt>Delivery allowance</dt>
        <dd>
          {used === null ? <Badge tone="good">available</Badge> : <>used up until <Time at={used} /></>}
          <p class="hint">{count(stats.delivery_allowance.units_per_minute)} units a minute for replays, tests, and deliveries of an event beyond the first ten. A unit is {bytes(4096)}.</p>
        </dd>
      </dl>
    </section>
  )
}

function Attention({ endpoints, error }: { endpoints: Endpoint[] | undefined; error: Parameters<typeof Problem>[0]['error'] }) {
  const troubled = endpoints?.filter(needsAttention) ?? []
  return (
    <section class="card" aria-labelledby="attention">
      <h2 id="attention">Endpoints that need attention</h2>
      <Problem error={error} />
      {!endpoints && !error && <Loading what="the endpoints" />}
      {endpoints?.length === 0 && <p>No endpoint yet. Events wait in the <a href={href('inbox')}>inbox</a>. <a href={href('endpoints')}>Create an endpoint</a> to get them by webhook.</p>}
      {endpoints && endpoints.length > 0 && troubled.length === 0 && <p>None: all {count(endpoints.length)} take deliveries.</p>}
      <ul class="rows">
        {troubled.map((endpoint) => (
          <li>
            <Status value={healthOf(endpoint)} />
            <a class="break" href={href(`endpoints/${endpoint.id}`)}>{endpoint.url}</a>
            <span class="quiet break">
              {endpoint.last_error !== null && <>{endpoint.last_error}. </>}
              {endpoint.next_probe_at !== null && <>Next probe {distance(endpoint.next_probe_at)}.</>}
            </span>
          </li>
        ))}
      </ul>
    </section>
  )
}

function FirstEvent() {
  return (
    <Empty title="No event in this window">
      <p>Post one from a terminal, or <a href={href('send')}>send a test event</a>:</p>
      <FirstCurl />
    </Empty>
  )
}
