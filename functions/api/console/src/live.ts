// Data that follows the API: read again and again while the tab is visible, slower when the API asks for it.

import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { ApiError, rateLimit } from './api'

const LONGEST_SECONDS = 120

export interface Live<T> {
  data: T | undefined
  error: ApiError | undefined
  /** Whether the first answer is still missing. */
  loading: boolean
  /** Reads again at once. */
  refresh: () => void
}

/**
 * Reads `load` now, after every change of `key`, and every `seconds`. A hidden tab reads nothing. A 429 waits for its
 * Retry-After, another error doubles the wait, and a rate limit that is more than half used makes it four times as long.
 */
export function useLive<T>(load: (abort: AbortSignal) => Promise<T>, seconds: number, key: string): Live<T> {
  const [state, setState] = useState<{ key: string; data?: T; error?: ApiError | undefined }>({ key })
  const latest = useRef(load)
  latest.current = load
  const wake = useRef(() => {})

  useEffect(() => {
    const ended = new AbortController()
    let timer = 0
    let failures = 0
    let busy = false
    let again = false
    let begun = false

    const schedule = (wait: number) => {
      clearTimeout(timer)
      timer = window.setTimeout(run, wait * 1000)
    }
    const run = async () => {
      clearTimeout(timer)
      if (busy) {
        again = true
        return
      }
      if (document.hidden || ended.signal.aborted) return
      busy = true
      begun = true
      let wait = seconds
      try {
        const data = await latest.current(ended.signal)
        if (ended.signal.aborted) return
        failures = 0
        setState({ key, data })
        const limit = rateLimit.value
        if (limit && limit.left * 2 < limit.limit) wait *= 4
      } catch (error) {
        if (ended.signal.aborted) return
        const problem = error instanceof ApiError ? error : new ApiError(0, String(error), 'page', [], 0, '')
        failures += 1
        setState((before) => ({ ...(before.key === key ? before : { key }), error: problem }))
        wait = Math.max(problem.retryAfter, Math.min(seconds * 2 ** failures, LONGEST_SECONDS))
      } finally {
        busy = false
      }
      if (again) {
        again = false
        void run()
      } else if (seconds > 0) {
        schedule(wait)
      }
    }
    const onVisible = () => {
      if (!document.hidden && (seconds > 0 || !begun)) void run()
    }
    wake.current = () => void run()
    document.addEventListener('visibilitychange', onVisible)
    void run()
    return () => {
      ended.abort()
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', onVisible)
    }
  }, [key, seconds])

  const refresh = useCallback(() => wake.current(), [])
  const current = state.key === key ? state : { key }
  return {
    data: current.data,
    error: current.error,
    loading: current.data === undefined && current.error === undefined,
    refresh,
  }
}
