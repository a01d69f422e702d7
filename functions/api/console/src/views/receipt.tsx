// The receipt of an erasure. It needs no credential, because none is left.

import { signal } from '@preact/signals'
import { get, type Erasure } from '../api'
import { count } from '../format'
import { useLive } from '../live'
import { Loading, Problem, Status, Time } from '../ui'

/** The path of the receipt of the erasure that this tab has started. */
export const erasure = signal<string | null>(null)

export function Receipt() {
  const { data, error, loading } = useLive((abort) => get<Erasure>(erasure.value ?? '', abort), 3, erasure.value ?? '')
  return (
    <section class="card" aria-labelledby="receipt" aria-live="polite">
      <h2 id="receipt">Erasure</h2>
      {loading && <Loading what="the receipt" />}
      <Problem error={error} />
      {data && (
        <dl class="facts">
          <dt>State</dt><dd><Status value={data.state} /></dd>
          <dt>Requested</dt><dd><Time at={data.requested_at} /></dd>
          <dt>Completed</dt><dd>{data.completed_at === null ? 'not yet' : <Time at={data.completed_at} />}</dd>
          <dt>Items deleted</dt><dd>{count(data.items_deleted)}</dd>
          <dt>Searched</dt><dd>{count(data.times_looked_through)} times</dd>
          {data.lives_on.map((rest) => <><dt>Remains</dt><dd>{rest.what}: {rest.for}</dd></>)}
        </dl>
      )}
    </section>
  )
}
