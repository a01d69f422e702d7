// Times and numbers as text.

const number = new Intl.NumberFormat()
const compact = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 })
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false })
const day = new Intl.DateTimeFormat(undefined, { day: '2-digit', month: 'short' })
const dayAndYear = new Intl.DateTimeFormat(undefined, { day: '2-digit', month: 'short', year: 'numeric' })
const dayOfYear = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' })

export const count = (value: number) => number.format(value)
export const short = (value: number) => (value < 10_000 ? number.format(value) : compact.format(value))

/** Returns the time of day, with the day in front of it if that is not today, and with the year if that is not this year. */
export function moment(text: string): string {
  const [time, now] = [new Date(text), new Date()]
  if (time.toDateString() === now.toDateString()) return clock.format(time)
  const form = time.getFullYear() === now.getFullYear() ? day : dayAndYear
  return `${form.format(time)}, ${clock.format(time)}`
}

export const date = (text: string) => dayOfYear.format(new Date(text))

/** Returns a duration such as `340 ms`, `4.2 s` or `3 h 12 min`. */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1000
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`
  const [days, hours, minutes] = [seconds / 86_400, (seconds / 3600) % 24, (seconds / 60) % 60].map(Math.floor) as [number, number, number]
  if (days > 0) return hours > 0 ? `${days} d ${hours} h` : `${days} d`
  if (hours > 0) return minutes > 0 ? `${hours} h ${minutes} min` : `${hours} h`
  return `${minutes} min`
}

/** Returns a wait below ten minutes to the second, such as `4 min 52 s`. */
function wait(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000)
  return seconds >= 60 && seconds < 600 ? `${Math.floor(seconds / 60)} min ${seconds % 60} s` : duration(milliseconds)
}

/** Returns how long ago or how soon a time is. */
export function distance(text: string, now = Date.now()): string {
  const apart = new Date(text).getTime() - now
  if (Math.abs(apart) < 1000) return 'now'
  const whole = Math.abs(apart) < 60_000 ? `${Math.round(Math.abs(apart) / 1000)} s` : apart > 0 ? wait(apart) : duration(-apart)
  return apart > 0 ? `in ${whole}` : `${whole} ago`
}

export function bytes(size: number): string {
  if (size < 1024) return `${size} B`
  return size < 1024 * 1024 ? `${(size / 1024).toFixed(1)} KiB` : `${(size / 1024 / 1024).toFixed(1)} MiB`
}

export const percent = (part: number, whole: number) => (whole > 0 ? Math.min(100, (part / whole) * 100) : 0)

/** Returns an id that is short enough for a table: `evt_01a20956…9c2500`. */
export function shortId(id: string): string {
  return id.length > 22 ? `${id.slice(0, 12)}…${id.slice(-6)}` : id
}

/** Returns a local time as the value of `<input type="datetime-local">`; an empty text for a time that is not valid. */
export function localInput(time: Date): string {
  if (Number.isNaN(time.getTime())) return ''
  const local = new Date(time.getTime() - time.getTimezoneOffset() * 60_000)
  return local.toISOString().slice(0, 19)
}

/** Returns the RFC 3339 time of such a value, or an empty text. */
export function fromLocalInput(value: string): string {
  const time = new Date(value)
  return value === '' || Number.isNaN(time.getTime()) ? '' : time.toISOString()
}
