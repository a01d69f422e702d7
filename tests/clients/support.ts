// What the stories share: where the API is, and waiting for what is eventually there.

import assert from 'node:assert/strict'

export const URL_OF_API = required('URL')
export const ADMIN_TOKEN = required('ADMIN_TOKEN')

/** A URL without a receiver: its deliveries fail and are tried again later. */
export const NO_RECEIVER = 'http://127.0.0.1:1/hook'

const PATIENCE_MS = 60_000

function required(name: string): string {
  const value = process.env[name]
  assert.ok(value, `set ${name}`)
  return value
}

/** Asks until there is an answer. */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const end = Date.now() + PATIENCE_MS
  while (Date.now() < end) {
    const found = await ask()
    if (found !== undefined) return found
    await new Promise((done) => setTimeout(done, 200))
  }
  assert.fail(`not within ${PATIENCE_MS / 1000} s: ${what}`)
}
