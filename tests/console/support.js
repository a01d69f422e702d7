// What the stories share: a browser that notes every error, violation and foreign request; tenants; a receiver.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before } from 'node:test'
import axe from 'axe-core'
import { chromium } from 'playwright-core'

export const URL_OF_API = required('URL')
export const ADMIN_TOKEN = required('ADMIN_TOKEN')

/** How long anything may take. Far longer than it does: a test machine may be busy. */
export const PATIENCE = Number(process.env.PATIENCE_MS ?? 90_000)

function required(name) {
  const value = process.env[name]
  assert.ok(value, `set ${name}: cargo dev status --json has it`)
  return value
}

let browser
const servers = []

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] })
})
after(async () => {
  await browser?.close()
  for (const server of servers) server.close()
})

/** Calls the API as a client does. */
export async function api(key, method, path, body) {
  const headers = { 'content-type': 'application/json', 'x-api-key': key }
  const text = typeof body === 'string' ? body : body && JSON.stringify(body)
  const answer = await fetch(URL_OF_API + path, { method, headers, body: text })
  const shown = await answer.text()
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${shown}`)
  return shown ? JSON.parse(shown) : undefined
}

/** Makes a tenant. Returns its first key. */
export async function newTenant(name = 'A story', tier = 'enterprise') {
  const answer = await fetch(`${URL_OF_API}/api/keys/generate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-admin-token': ADMIN_TOKEN },
    body: JSON.stringify({ organization_name: name, tier }),
  })
  assert.equal(answer.status, 201)
  return (await answer.json()).api_key
}

export async function eventually(what, ask) {
  const end = Date.now() + PATIENCE
  while (Date.now() < end) {
    const found = await ask()
    if (found) return found
    await new Promise((done) => setTimeout(done, 200))
  }
  assert.fail(`not within ${PATIENCE / 1000} s: ${what}`)
}

/** A receiver of webhooks whose answer can be changed. It allows webhooks in an ownership handshake if `permission` has headers. */
export async function newReceiver() {
  const receiver = { status: 200, answer: '{"ok":true}', permission: {}, requests: [] }
  const server = createServer((request, response) => {
    const parts = []
    request.on('data', (part) => parts.push(part))
    request.on('end', () => {
      receiver.requests.push({ headers: request.headers, body: Buffer.concat(parts).toString() })
      const more = request.method === 'OPTIONS' ? receiver.permission : {}
      response.writeHead(receiver.status, { 'content-type': 'text/html', ...more }).end(receiver.answer)
    })
  })
  await new Promise((done) => server.listen(0, '127.0.0.1', done))
  receiver.url = `http://127.0.0.1:${server.address().port}/webhook`
  servers.push(server)
  return receiver
}

/**
 * Opens a page, the console if no other one is named, in a context of its own. `close` fails if a script has failed, the policy was violated, an error was
 * logged, a dialog was opened, or a request went to another origin. `allowed` are the statuses that the story provokes:
 * a browser logs each answer from 400 on as an error.
 */
export async function openConsole({ path = '/console', key, kind = 'key', hash = '', scheme = 'light', width = 1280, height = 900, allowed = [] } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, locale: 'en-GB' })
  await context.grantPermissions(['clipboard-read', 'clipboard-write'])
  const page = await context.newPage()
  page.setDefaultTimeout(PATIENCE)
  const faults = []
  const origin = new URL(URL_OF_API).origin
  page.on('pageerror', (error) => faults.push(`a script failed: ${error}`))
  page.on('dialog', (dialog) => { faults.push(`a dialog: ${dialog.message()}`); void dialog.dismiss() })
  page.on('request', (request) => {
    const { protocol, origin: to } = new URL(request.url())
    if (to !== origin && !['data:', 'blob:'].includes(protocol)) faults.push(`a request to ${request.url()}`)
  })
  page.on('console', (message) => {
    const isProvoked = allowed.some((status) => message.text().includes(`status of ${status} `))
    if (['error', 'warning'].includes(message.type()) && !isProvoked) faults.push(`${message.text()} ${message.location().url}`)
  })
  await page.exposeFunction('noteViolation', (text) => faults.push(`a violation of the policy: ${text}`))
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => window.noteViolation(`${event.violatedDirective} ${event.blockedURI}`))
  })
  if (key) {
    // Only the first time: a story that signs out stays signed out.
    await page.addInitScript((credential) => {
      if (window.name === 'begun') return
      window.name = 'begun'
      sessionStorage.setItem('triggers.credential', JSON.stringify(credential))
    }, { kind, value: key })
  }
  await page.goto(`${URL_OF_API}${path}${hash}`)
  const close = async () => {
    await context.close()
    assert.deepEqual(faults, [])
  }
  return { page, faults, close }
}

/** Goes to a view by its link, as a reader does. */
export async function visit(page, name) {
  await page.getByRole('navigation', { name: 'Views' }).getByRole('link', { name, exact: true }).click()
  await page.getByRole('main', { name }).waitFor()
}

/** Returns what breaks a rule of axe in what is shown now, without the rules that are named. */
export async function findViolations(page, without = []) {
  await page.evaluate(axe.source)
  const { violations } = await page.evaluate(() => window.axe.run(document))
  return violations.filter((one) => !without.includes(one.id)).map((one) => `${one.id}: ${one.nodes.map((node) => `${node.target} ${node.failureSummary}`).join(' | ')}`)
}
