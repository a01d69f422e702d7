// The attempts at one endpoint, newest first.

import { useState } from 'preact/hooks'
import { get, withQuery, type Attempt } from '../api'
import { duration, shortId } from '../format'
import { useLive } from '../live'
import { href } from '../route'
import { Loading, Pages, Problem, Status, Time } from '../ui'

const PAGE = 20

export function Attempts({ path }: { path: string }) {
  const [cursors, setCursors] = useState([''])
  const cursor = cursors.at(-1) ?? ''
  const load = (abort: AbortSignal) => get<{ attempts: Attempt[]; next_cursor: string | null }>(withQuery(`${path}/attempts`, { limit: PAGE, cursor }), abort)
  const { data, error, loading } = useLive(load, cursors.length === 1 ? 5 : 0, path + cursor)
  const next = data?.next_cursor ?? null
  return (
    <section class="card" aria-labelledby="attempts">
      <h2 id="attempts">Attempts</h2>
      <p class="hint">Deliveries that succeeded at their first attempt are not listed; see the timelines of their <a href={href('events')}>events</a>.</p>
      <Problem error={error} />
      {loading && <Loading what="the attempts" />}
      {data?.attempts.length === 0 && <p class="quiet">None.</p>}
      {data && data.attempts.length > 0 && (
        <div class="scroll">
          <table class="events">
            <thead><tr><th scope="col">Time</th><th scope="col">Result</th><th scope="col">Answer</th><th scope="col" class="number">Took</th><th scope="col" class="number">Attempt</th><th scope="col">Event</th></tr></thead>
            <tbody>
              {data.attempts.map((one) => (
                <tr>
                  <td><Time at={one.at} /></td>
                  <td><Status value={one.verdict} /></td>
                  <td class="break answer-cell">{one.status ?? one.error?.replaceAll('_', ' ')} <span class="quiet">{one.answer?.slice(0, 120)}</span></td>
                  <td class="number">{duration(one.duration_ms)}</td>
                  <td class="number">{one.n}{one.probe && <span class="quiet"> probe</span>}</td>
                  <td><a class="mono" href={href(`events/${one.event_id}`)}>{shortId(one.event_id)}</a></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <Pages label="Pages of attempts" cursors={cursors} next={next} onChange={setCursors} />
    </section>
  )
}
