// Views that follow the API, and what they do when they should not.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api, eventually, newTenant, openConsole, visit } from '../support.js'

const events = (n) => Array.from({ length: n }, (_, index) => ({ type: index % 2 ? 'even' : 'odd', payload: index }))

test('a list of many events is shown page by page, and a filter is kept in the URL', async () => {
  const key = await newTenant()
  await api(key, 'POST', '/api/events/batch', { events: events(130) })
  await eventually('all are stored', async () => (await api(key, 'GET', '/api/events?limit=1000')).events.length === 130)
  const { page, close } = await openConsole({ key, hash: '#/events' })
  const rows = page.locator('tbody tr')
  await eventually('a page', async () => (await rows.count()) === 50)
  await page.getByRole('button', { name: 'Older' }).click()
  await page.getByText('Page 2').waitFor()
  await page.getByRole('button', { name: 'Older' }).click()
  await eventually('the last page', async () => (await rows.count()) === 30)
  assert.ok(await page.getByRole('button', { name: 'Older' }).isDisabled())
  await page.getByLabel('Type').fill('odd')
  await page.getByLabel('Type').press('Enter')
  await eventually('only those', async () => (await rows.count()) === 50 && (await page.getByRole('link', { name: 'even', exact: true }).count()) === 0)
  assert.match(page.url(), /#\/events\?type=odd$/)

  const copy = await openConsole({ key, hash: new URL(page.url()).hash })
  await copy.page.getByRole('link', { name: 'odd', exact: true }).first().waitFor()
  assert.equal(await copy.page.getByRole('link', { name: 'even', exact: true }).count(), 0)
  await copy.close()
  await close()
})

test('an event appears in the list while the reader looks', async () => {
  const key = await newTenant()
  const { page, close } = await openConsole({ key, hash: '#/events' })
  await page.getByText('No event yet').waitFor()
  await api(key, 'POST', '/api/events', { type: 'just.now', payload: null })
  await page.getByRole('link', { name: 'just.now' }).waitFor()
  await close()
})

test('a payload of 256 KiB is shown, and its numbers stay as they were written', async () => {
  const key = await newTenant()
  const filler = Array.from({ length: 3000 }, (_, n) => `{"n":${n}.50,"text":"${'x'.repeat(60)}"}`).join(',')
  const payload = `{"exact":12345678901234567890.10,"list":[${filler}]}`.padEnd(262_000)
  const { id } = await api(key, 'POST', '/api/events', `{"type":"large","payload":${payload}}`)
  const { page, close } = await openConsole({ key, hash: `#/events/${id}`, allowed: [404] })
  await page.getByText('"exact": 12345678901234567890.10').waitFor()
  assert.ok((await page.locator('pre').innerText()).includes('"n": 2999.50'))
  const started = Date.now()
  await page.getByLabel('Raw').check()
  await eventually('the text that was sent', async () => (await page.locator('pre').textContent()) === payload.trim())
  assert.ok(Date.now() - started < 10_000)
  await close()
})

test('a hidden tab asks nothing, a 429 is waited for, and a problem shows its detail', async () => {
  const key = await newTenant()
  const { page, close } = await openConsole({ key, hash: '#/keys', allowed: [429, 503] })
  await page.getByText('this session').waitFor()
  let asked = 0
  let answer
  await page.route('**/api/events?**', async (route) => {
    asked += 1
    await (answer ? route.fulfill(answer) : route.continue())
  })
  const problem = (status, detail, headers = {}) => ({
    status, headers, contentType: 'application/problem+json', body: JSON.stringify({ type: 'urn:triggers:problem:x', status, detail, instance: 'request-1' }),
  })
  await page.clock.install()

  answer = problem(429, 'the rate limit is used up', { 'retry-after': '40' })
  await visit(page, 'Events')
  await page.getByText('the rate limit is used up').waitFor()
  await page.getByText('The next try follows in 40 s.').waitFor()
  assert.equal(asked, 1)
  await page.clock.runFor(39_000)
  assert.equal(asked, 1, 'it waits for Retry-After')
  answer = problem(503, 'the table does not answer')
  await page.clock.runFor(2000)
  await page.getByText('the table does not answer').waitFor()
  assert.equal(asked, 2)
  answer = undefined
  await page.clock.runFor(20_000)
  await page.getByText('No event yet').waitFor()

  await page.evaluate(() => {
    Object.defineProperty(document, 'hidden', { configurable: true, value: true })
    document.dispatchEvent(new Event('visibilitychange'))
  })
  await page.clock.runFor(60_000) // a request that was under way ends
  const before = asked
  await page.clock.runFor(600_000)
  assert.equal(asked, before, 'a hidden tab asks nothing')
  await page.evaluate(() => {
    Object.defineProperty(document, 'hidden', { configurable: true, value: false })
    document.dispatchEvent(new Event('visibilitychange'))
  })
  await eventually('it asks at once', () => asked > before)
  await close()
})

test('the preview of patterns says what the API says', async () => {
  const patterns = ['*', 'order.*', '*.created', 'order.*.eu', 'o*r*d', '**', 'order', 'Order.*', 'or*er*er', 'order.created', '*x*']
  const types = ['order.created', 'order.paid.eu', 'order', 'order.', 'Order.created', 'orderer', 'or.er', 'x', 'o.r.d', 'customer.created', 'order.eu']
  const key = await newTenant()
  await api(key, 'POST', '/api/events/batch', { events: types.map((type) => ({ type, payload: 1 })) })
  await eventually('all are stored', async () => (await api(key, 'GET', '/api/events')).events.length === types.length)
  for (const [n, pattern] of patterns.entries()) {
    await api(key, 'POST', '/api/endpoints', { url: `http://127.0.0.1:9/${n}`, event_types: [pattern] })
  }
  const expected = patterns.map(() => [])
  for (const type of [...types].sort()) {
    const { endpoints } = await api(key, 'POST', '/api/explain', { type, payload: 1 })
    endpoints.forEach((one, n) => one.matches && expected[n].push(type))
  }
  const { page, close } = await openConsole({ key, hash: '#/endpoints' })
  await page.getByRole('button', { name: 'Create an endpoint' }).click()
  await page.getByText('types among the newest').waitFor()
  for (const [n, pattern] of patterns.entries()) {
    await page.getByLabel('Patterns').fill(pattern)
    await page.getByText(`, ${expected[n].length} match:`).waitFor()
    assert.deepEqual(await page.locator('.preview .yes .break').allTextContents(), expected[n], pattern)
  }
  await close()
})
