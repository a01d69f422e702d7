// The history of a time window. The API counts windows that end now; two of them differ by what happened between their
// beginnings. So twelve requests give twelve bars.

import { get, type Stats } from './api'
import type { Series } from './chart'

export interface Window {
  name: string
  label: string
  step: string
  /** The length of one bar in minutes. */
  minutes: number
}

export const WINDOWS: [Window, Window] = [
  { name: '1h', label: 'Last hour', step: '5 minutes', minutes: 5 },
  { name: '24h', label: 'Last day', step: '2 hours', minutes: 120 },
]

const BARS = 12
/** The number of requests at the same time. Each holds an instance of the function. */
const AT_ONCE = 3

export interface History {
  /** The middle of each bar in seconds since 1970. */
  times: number[]
  seconds: number
  series: Series[]
  total: number
}

export async function loadHistory(window: Window, abort: AbortSignal): Promise<History> {
  const lengths = Array.from({ length: BARS }, (_, index) => (BARS - index) * window.minutes)
  const found: Stats[] = []
  for (let at = 0; at < BARS; at += AT_ONCE) {
    const some = lengths.slice(at, at + AT_ONCE).map((minutes) => get<Stats>(`/api/stats?window=${minutes}m`, abort))
    found.push(...await Promise.all(some))
  }
  const seconds = window.minutes * 60
  const series = (name: string, color: string, of: (stats: Stats) => number): Series => ({
    name, color,
    values: found.map((stats, index) => {
      const later = found[index + 1]
      return Math.max(0, of(stats) - (later ? of(later) : 0))
    }),
  })
  return {
    times: found.map((stats) => new Date(stats.since).getTime() / 1000 + seconds / 2),
    seconds,
    series: [
      series('Accepted', '--accepted', (stats) => stats.accepted),
      series('Delivered', '--delivered', (stats) => stats.delivered),
      series('Failed', '--failed', (stats) => stats.failed),
    ],
    total: Math.max(...found.map((stats) => stats.accepted + stats.delivered + stats.failed)),
  }
}
