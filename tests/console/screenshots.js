// Takes the pictures in docs/images again. `npm run screenshots`, with URL and ADMIN_TOKEN of a running `cargo dev`.

import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import { ADMIN_TOKEN, api, eventually, newReceiver, newTenant, openConsole } from './support.js'

const IMAGES = fileURLToPath(new URL('../../docs/images/', import.meta.url))

/** How many minutes the tenant is busy before the pictures are taken, so that the charts have something to show. */
const MINUTES = Number(process.env.MINUTES ?? 4)

const TYPES = ['order.created', 'order.paid', 'order.shipped', 'contact.updated', 'deal.won', 'reading.taken']
const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000))

/** Makes a tenant with healthy, slow to recover and paused endpoints, events of some minutes, replays and keys. */
async function newWorld() {
  const key = await newTenant('Example Ltd', 'business')
  const [good, bad, gone] = [await newReceiver(), await newReceiver(), await newReceiver()]
  bad.status = 503
  bad.answer = '{"error":"database is down","retry":"later"}'
  gone.status = 410
  const endpoint = (url, event_types, description, more) => api(key, 'POST', '/api/endpoints', { url, event_types, description, ...more })
  good.permission = { 'WebHook-Allowed-Origin': '*', 'WebHook-Allowed-Rate': '600' }
  const shop = await endpoint(`${good.url}/shop`, ['order.*'], 'Warehouse', { handshake: true })
  const billing = await endpoint(`${bad.url}/billing`, ['invoice.*'], 'Billing, still on the old host', { headers: { 'x-team': 'billing' } })
  await endpoint(`${good.url}/crm`, ['contact.*', 'deal.*'], 'CRM', { signing: 'ed25519' })
  const paused = await endpoint(`${good.url}/sensors`, ['reading.taken'], 'Sensors')
  await api(key, 'PATCH', `/api/endpoints/${paused.id}`, { paused: true })

  const send = (type, n) => api(key, 'POST', '/api/events', {
    type, dedup_id: `${type} ${n}`, payload: { order: `A-${1000 + n}`, customer: 'Zoë Müller', total: 79.9, currency: 'EUR', items: [{ sku: 'mug-blue', count: 2 }] },
  })
  let sent = 0
  for (let minute = 0; minute < MINUTES; minute += 1) {
    for (let n = 0; n < 30; n += 1) {
      for (let at = 0; at < 1 + ((minute * 7 + n) % 3); at += 1) await send(TYPES[(sent += 1) % TYPES.length], sent)
      await pause(2)
    }
    if (minute === 1) for (let n = 0; n < 14; n += 1) await send('invoice.paid', n)
    if (minute === 3) {
      // Its receiver is gone: these deliveries fail at once, and the endpoint is disabled.
      await endpoint(`${gone.url}/old`, ['subscription.*'], 'Retired')
      for (let n = 0; n < 5; n += 1) await send('subscription.ended', n)
    }
  }
  const waiting = await send('report.ready', 1)
  for (const [name, scopes] of [['Warehouse worker', ['inbox:read', 'inbox:ack']], ['Shop', ['events:write']]]) await api(key, 'POST', '/api/keys', { name, scopes })
  const failing = (await api(key, 'GET', '/api/events?type=invoice.paid&limit=1')).events[0]
  await api(key, 'POST', '/api/replays', { since: '2026-01-01T00:00:00Z', type: 'order.paid', status: 'delivered', endpoint_id: shop.id })
  await eventually('a replay is done', async () => (await api(key, 'GET', '/api/replays')).replays[0].state === 'done')
  await api(key, 'POST', '/api/replays', { since: '2026-01-01T00:00:00Z', type: 'order.created', rate_per_second: 1 })
  await eventually('a replay runs', async () => (await api(key, 'GET', '/api/replays')).replays[0].seen > 0)
  return { key, billing, failing, waiting }
}

/** Each picture: its name, the view, its height, and what is done before it is taken. The replay runs at the beginning only. */
const pictures = ({ key, billing, failing }) => [
  ['replays', { key, hash: '#/replays', height: 760 }, (page) => page.getByText('running', { exact: true }).waitFor()],
  ['overview', { key, hash: '#/', height: 960 }, (page) => page.locator('canvas').nth(1).waitFor()],
  ['events', { key, hash: '#/events', height: 760 }, (page) => page.locator('tbody tr').nth(10).waitFor()],
  ['event', { key, hash: `#/events/${failing.id}`, height: 980 }, async (page) => { await page.getByText('The answer').first().click(); await page.getByText('database is down').first().waitFor() }],
  ['send', { key, hash: '#/send', height: 960 }, async (page) => { await page.getByRole('button', { name: 'Explain' }).click(); await page.getByText('What would happen').waitFor() }],
  ['endpoints', { key, hash: '#/endpoints', height: 600 }, (page) => page.getByText('Paused').waitFor()],
  ['endpoint', { key, hash: `#/endpoints/${billing.id}`, height: 900, scheme: 'dark' }, async (page) => { await page.getByRole('button', { name: 'Test' }).click(); await page.getByText('The endpoint answered HTTP 503').waitFor() }],
  ['inbox', { key, hash: '#/inbox', height: 800 }, (page) => page.locator('tbody tr').first().waitFor()],
  ['keys', { key, hash: '#/keys', height: 600 }, (page) => page.getByText('this session').waitFor()],
  ['tenant', { key, hash: '#/tenant', height: 900 }, (page) => page.getByText('Export everything').waitFor()],
  ['phone', { key, hash: '#/', width: 390, height: 844, scheme: 'dark' }, (page) => page.locator('canvas').first().waitFor()],
  ['operator', { key: ADMIN_TOKEN, kind: 'admin', height: 560 }, (page) => page.getByText('Example Ltd').first().waitFor()],
  ['sign-in', { height: 600 }, (page) => page.getByRole('button', { name: 'Sign in' }).waitFor()],
  ['reference', { path: '/docs', height: 900 }, async (page) => {
    const operation = page.locator('.opblock[id$="-readEvent"]')
    await operation.locator('.opblock-summary-control').click()
    await operation.getByRole('tab', { name: 'Python', exact: true }).click()
    await operation.getByRole('tabpanel', { name: 'Python' }).waitFor()
    await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0) })
    await operation.evaluate((element) => scrollBy(0, element.getBoundingClientRect().top - 200))
  }],
]

test('the pictures of the documentation', async () => {
  const world = await newWorld()
  for (const [name, where, ready] of pictures(world)) {
    const { page, close } = await openConsole(where)
    await ready(page)
    await page.evaluate(() => Promise.all(document.getAnimations().map((one) => one.finished.catch(() => {}))))
    const file = name === 'reference' ? 'reference.png' : `console-${name}.png`
    await page.screenshot({ path: IMAGES + file })
    await close()
  }
})
