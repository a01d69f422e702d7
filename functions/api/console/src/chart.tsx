// The bars of a time window.

import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import { count } from './format'
import { theme } from './theme'

export interface Series {
  name: string
  color: string
  values: number[]
}

/** The steps of the axis of counts: 1, 2, 5, 10 and so on. */
const WHOLE = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat()

interface BarsProps {
  label: string
  times: number[]
  /** The time that a group of bars stands for. */
  seconds: number
  series: Series[]
  height?: number
}

/** Draws one group of bars for each time. The table below the chart has the same numbers for screen readers. */
export function Bars({ label, times, seconds, series, height = 200 }: BarsProps) {
  const place = useRef<HTMLDivElement>(null)
  const shade = theme.value
  useEffect(() => {
    const element = place.current
    if (!element || times.length === 0) return
    const style = getComputedStyle(element)
    const resolved = (name: string) => {
      const probe = document.createElement('i')
      probe.style.color = `var(${name})`
      element.append(probe)
      const found = getComputedStyle(probe).color
      probe.remove()
      return found
    }
    const quiet = resolved('--quiet')
    const axis = {
      stroke: quiet, font: `12px ${style.fontFamily}`,
      grid: { stroke: resolved('--line'), width: 1 }, ticks: { show: false },
    }
    const bars = uPlot.paths.bars
    if (!bars) return
    const half = seconds / 2
    const first = (times[0] ?? 0) - half
    const last = (times.at(-1) ?? 0) + half
    const chart = new uPlot({
      width: element.clientWidth, height, padding: [8, 24, 0, 0],
      cursor: { show: false }, legend: { show: false }, select: { show: false, left: 0, top: 0, width: 0, height: 0 },
      scales: { x: { range: [first, last] }, y: { range: (_, __, most) => [0, Math.max(most * 1.1, 1)] } },
      axes: [
        { ...axis, size: 28, values: '{HH}:{mm}', grid: { show: false }, space: 64 },
        { ...axis, size: 44, gap: 8, space: 32, incrs: WHOLE, values: (_, ticks) => ticks.map(count) },
      ],
      series: [{}, ...series.map((one, index) => ({
        label: one.name, width: 0, fill: resolved(one.color), points: { show: false },
        paths: bars({ align: 1, disp: beside(index, series.length, times, seconds) }),
      }))],
    }, [times, ...series.map((one) => one.values)], element)
    const fit = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height }))
    fit.observe(element)
    return () => { fit.disconnect(); chart.destroy() }
  }, [JSON.stringify([times, series]), shade])

  const clock = (time: number) => new Date(time * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
  return (
    <figure class="chart">
      <div class="legend" aria-hidden="true">
        {series.map((one) => <span class={`key-${one.color.slice(2)}`}>{one.name}</span>)}
      </div>
      <div ref={place} role="img" aria-label={`${label}: ${series.map((one) => `${one.name} ${count(sum(one.values))}`).join(', ')}`} />
      <details>
        <summary>The numbers</summary>
        <div class="scroll" tabindex={0} role="region" aria-label={`The numbers of: ${label}`}>
          <table>
            <thead><tr><th scope="col">From</th>{series.map((one) => <th scope="col" class="number">{one.name}</th>)}</tr></thead>
            <tbody>{times.map((time, at) => (
              <tr><th scope="row">{clock(time - seconds / 2)}</th>{series.map((one) => <td class="number">{count(one.values[at] ?? 0)}</td>)}</tr>
            ))}</tbody>
          </table>
        </div>
      </details>
    </figure>
  )
}

const sum = (values: number[]) => values.reduce((total, value) => total + value, 0)

/** Places the bars of one series beside those of the others: together they take 80 % of the time of a group. */
function beside(index: number, groups: number, times: number[], seconds: number) {
  const width = (0.8 * seconds) / groups
  return {
    x0: { unit: 1, values: () => times.map((time) => time - 0.4 * seconds + index * width) },
    size: { unit: 1, values: () => times.map(() => width) },
  }
}
