// The series of a time window, as the charts take it.

import type { StatsBucket } from './api'
import type { Series } from './chart'

export interface Window {
  name: string
  label: string
  /** The length of one bar, as the API and as the reader names it. */
  step: string
  each: string
}

export const WINDOWS: [Window, Window] = [
  { name: '1h', label: 'Last hour', step: '1m', each: 'minute' },
  { name: '24h', label: 'Last day', step: '15m', each: '15 minutes' },
]

export interface History {
  /** The middle of each bar in seconds since 1970. */
  times: number[]
  seconds: number
  events: Series[]
  failures: Series[]
}

export function historyOf(buckets: StatsBucket[], seconds: number): History {
  const series = (name: string, color: string, of: (bucket: StatsBucket) => number): Series => (
    { name, color, values: buckets.map(of) }
  )
  return {
    times: buckets.map((bucket) => new Date(bucket.at).getTime() / 1000 + seconds / 2),
    seconds,
    events: [
      series('Accepted', '--accepted', (bucket) => bucket.accepted),
      series('Delivered', '--delivered', (bucket) => bucket.delivered),
    ],
    failures: [series('Failed', '--failed', (bucket) => bucket.failed)],
  }
}

export const total = (series: Series[]) => series.flatMap((one) => one.values).reduce((sum, value) => sum + value, 0)
