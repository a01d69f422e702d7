// One reader, from the sign-in to the end of the key.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ADMIN_TOKEN, api, eventually, newReceiver, newTenant, openConsole, visit } from '../support.js'

/** What may be gone by now is not waited for. */
const SOON = { timeout: 1000 }

const status = (page) => page.locator('dl.facts').first().locator('.badge').first()

test('an event is sent, fails, is repaired, tested, replayed; the secret is rotated', async () => {
  const key = await newTenant('Example Ltd')
  const receiver = await newReceiver()
  const { page, close } = await openConsole({ allowed: [401, 404] })

  // A wrong key says so, and signs nobody in.
  for (const wrong of ['trg_live_wrong', 'ключ']) {
    await page.getByLabel('API key', { exact: true }).fill(wrong)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByText('This API key is not valid').waitFor()
  }
  await page.getByLabel('API key', { exact: true }).fill(key)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { name: 'Overview' }).waitFor()
  assert.ok(!page.url().includes(key), 'the key is in no URL')
  assert.equal(await page.evaluate((text) => JSON.stringify(localStorage).includes(text), key), false)

  // An endpoint: the preview knows no type yet, and the secret is shown once.
  await visit(page, 'Endpoints')
  await page.getByText('No endpoint yet').waitFor()
  await page.getByRole('button', { name: 'Create an endpoint' }).click()
  const form = page.getByRole('dialog')
  await form.getByLabel('URL', { exact: true }).fill(receiver.url)
  await form.getByLabel('Patterns').fill('order.*')
  await form.getByLabel('Headers').fill('X-Team: billing')
  await form.getByRole('button', { name: 'Create' }).click()
  const secret = await page.locator('.secret code').textContent()
  assert.match(secret, /^whsec_/)
  await page.getByRole('button', { name: /Copy/ }).click()
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secret)
  await page.getByRole('button', { name: 'I have stored it' }).click()
  await page.getByRole('heading', { name: receiver.url }).waitFor()
  assert.ok(!(await page.content()).includes(secret), 'it is shown once')

  // An event of a template is delivered while the reader looks.
  await visit(page, 'Send')
  await page.getByRole('button', { name: 'Explain' }).click()
  await page.getByText('it would get it now').waitFor()
  await page.getByRole('button', { name: 'Send', exact: true }).click()
  await page.getByText('delivered', { exact: true }).first().waitFor()
  const webhook = receiver.requests.find((request) => request.headers['webhook-id'])
  assert.equal(webhook.headers['x-team'], 'billing')
  assert.match(webhook.body, /"total": 79\.90,/, 'the payload is delivered as it was shown')
  assert.match(await page.locator('pre').first().textContent(), /"total": 79\.90,/)

  // The receiver breaks: the attempts and their answers are shown as they happen.
  receiver.status = 503
  receiver.answer = 'the database is down'
  await visit(page, 'Send')
  await page.getByRole('button', { name: 'Send', exact: true }).click()
  await page.getByText('failed, another attempt follows').nth(1).waitFor()
  await page.getByText('Attempt 3').waitFor()
  await page.getByText('The answer').first().click()
  await page.getByText('the database is down').first().waitFor()
  const broken = page.url()
  await visit(page, 'Endpoints')
  await page.getByText('Unsteady').waitFor()

  // It is repaired: a test shows its answer, and the event is delivered.
  receiver.status = 200
  receiver.answer = 'welcome back'
  await page.getByRole('link', { name: receiver.url }).click()
  await page.getByRole('button', { name: 'Test' }).click()
  await page.getByText('The endpoint answered HTTP 200').waitFor()
  await page.getByText('welcome back').waitFor()
  await page.goto(broken)
  await eventually('it is delivered', async () => (await status(page).textContent()) === 'delivered')

  // A replay sends it again.
  const before = receiver.requests.length
  await page.getByRole('button', { name: 'Replay', exact: true }).first().click()
  await page.getByText('The deliveries are open again.').waitFor()
  await eventually('it is received again', () => receiver.requests.length > before)
  await page.getByText('replay', { exact: true }).first().waitFor()

  // The secret is rotated; pausing and deleting work from the same page.
  await page.getByRole('link', { name: receiver.url }).click()
  await page.getByRole('button', { name: 'Rotate the secret' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Rotate' }).click()
  const rotated = await page.locator('.secret code').textContent()
  assert.match(rotated, /^whsec_/)
  assert.notEqual(rotated, secret)
  await page.getByRole('button', { name: 'I have stored it' }).click()
  await page.getByText('signs until').waitFor()
  await page.getByRole('button', { name: 'Pause' }).click()
  await page.getByText('Paused', { exact: true }).waitFor()
  assert.ok(await page.getByRole('button', { name: 'Test' }).isDisabled())
  await page.getByRole('button', { name: 'Resume' }).click()
  await page.getByRole('button', { name: 'Pause' }).waitFor()

  // Many events are replayed, first as a dry run.
  await visit(page, 'Replays')
  await page.getByLabel('Status').selectOption('delivered')
  await page.getByRole('button', { name: 'Count only' }).click()
  await page.getByText('2 events match').waitFor()
  await page.getByRole('button', { name: 'Replay', exact: true }).click()
  await page.getByText('2 of 2 events seen, 2 replayed, 2 deliveries opened.').waitFor()
  await page.getByText('done', { exact: true }).waitFor()
  await close()
})

test('the overview draws what happened in each minute, and what failed', async () => {
  const key = await newTenant()
  const { page, close } = await openConsole({ key, hash: '#/' })
  await page.getByText('No event in this window').waitFor()
  await page.getByText(`curl '`).waitFor()
  await page.getByText('No delivery failed in this window.').waitFor()
  const receiver = await newReceiver()
  receiver.status = 410 // it disables the endpoint, and fails the delivery at once
  await api(key, 'POST', '/api/endpoints', { url: receiver.url, event_types: ['gone'] })
  await api(key, 'POST', '/api/events/batch', { events: ['gone', 'a', 'b', 'c'].map((type) => ({ type, payload: 1 })) })
  const chart = (name) => page.getByRole('img', { name })
  await chart('Events for each minute: Accepted 4, Delivered 0').waitFor()
  await chart('Failed deliveries for each minute: Failed 1').waitFor()
  assert.equal(await page.locator('canvas').count(), 2)
  await page.getByText('The numbers').first().click()
  const rows = page.getByRole('region', { name: 'The numbers of: Events for each minute' }).locator('tbody tr')
  assert.equal(await rows.count(), 61, 'the minute now and the 60 before it')
  const accepted = async () => (await rows.locator('td:first-of-type').allTextContents()).reduce((sum, text) => sum + Number(text), 0)
  assert.equal(await accepted(), 4)
  await page.getByLabel('Last day').check()
  await chart('Events for each 15 minutes: Accepted 4, Delivered 0').waitFor()
  await close()
})

test('a receiver is asked before its URL is set, and its answer is shown', async () => {
  const key = await newTenant()
  const receiver = await newReceiver()
  const { page, close } = await openConsole({ key, hash: '#/endpoints', allowed: [422] })
  await page.getByRole('button', { name: 'Create an endpoint' }).click()
  const form = page.getByRole('dialog')
  await form.getByLabel('URL', { exact: true }).fill(receiver.url)
  await form.getByLabel('Ask the receiver before a URL is set').check()
  await form.getByRole('button', { name: 'Create' }).click()
  await form.getByText('its receiver gave no permission for webhooks').waitFor()
  assert.deepEqual((await api(key, 'GET', '/api/endpoints')).endpoints, [])
  receiver.permission = { 'WebHook-Allowed-Origin': '*', 'WebHook-Allowed-Rate': '120' }
  await form.getByRole('button', { name: 'Create' }).click()
  await page.getByText('The receiver allows webhooks from this service.').first().waitFor()
  await page.getByRole('button', { name: 'I have stored it' }).click()
  await page.getByText('at most 120 per minute').waitFor()
  receiver.permission = { 'WebHook-Allowed-Origin': '*' }
  await page.getByRole('button', { name: 'Ask the receiver again' }).click()
  await eventually('it has no limit any more', async () => await page.getByText('at most 120 per minute').count() === 0)
  const asked = receiver.requests.filter((request) => request.headers['webhook-request-origin'])
  assert.equal(asked.length, 3)
  await page.getByRole('button', { name: 'Edit' }).click()
  await page.getByRole('dialog').getByLabel('Ask the receiver before a URL is set').uncheck()
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click()
  await page.getByText('the next URL is not asked').waitFor()
  await close()
})

test('the list of endpoints shows how many deliveries wait', async () => {
  const key = await newTenant()
  const receiver = await newReceiver()
  const paused = await api(key, 'POST', '/api/endpoints', { url: receiver.url, event_types: ['*'] })
  await api(key, 'PATCH', `/api/endpoints/${paused.id}`, { paused: true })
  const { page, close } = await openConsole({ key, hash: '#/endpoints' })
  const cells = page.locator('tbody tr').first().locator('td.number')
  await eventually('none waits', async () => (await cells.allTextContents()).join() === '0,0')
  await api(key, 'POST', '/api/events/batch', { events: Array.from({ length: 120 }, (_, payload) => ({ type: 'many', payload })) })
  await page.getByRole('cell', { name: '100 or more' }).waitFor()
  await page.getByRole('link', { name: receiver.url }).click()
  await page.getByText('120 deliveries').waitFor()
  await close()
})

test('events are leased, extended, released, acknowledged and quarantined', async () => {
  const key = await newTenant()
  const ids = []
  for (const type of ['a', 'b', 'c']) ids.push((await api(key, 'POST', '/api/events', { type, payload: 1 })).id)
  await eventually('all are in the inbox', async () => (await api(key, 'GET', '/api/inbox')).events.length === 3)
  const { page, close } = await openConsole({ key, hash: '#/inbox' })

  await page.getByText('Lease events').click()
  await page.getByLabel('Events at most').fill('2')
  await page.getByRole('button', { name: 'Lease', exact: true }).click()
  await page.getByText('Your lease of 2 events').waitFor()
  await page.reload()
  await page.getByText('Your lease of 2 events').waitFor()
  await page.getByRole('button', { name: 'Extend to 5 min' }).click()
  await page.getByText('The lease lasts five minutes from now.').waitFor()
  await page.getByRole('button', { name: `Acknowledge ${ids[0]}` }).click()
  await page.getByText('Your lease of 1 event', { exact: true }).waitFor()
  await page.getByRole('button', { name: 'Release all' }).click()
  await page.getByText('Lease events').waitFor()

  await page.getByRole('checkbox', { name: `Select ${ids[1]}` }).check()
  await page.getByRole('button', { name: 'Acknowledge 1' }).click()
  await page.getByText('1 acknowledged.').waitFor()

  // The tenth lease quarantines. The first nine are those of another client.
  for (let n = 1; n < 10; n += 1) {
    await eventually(`lease ${n}`, async () => (
      (await api(key, 'POST', '/api/inbox/lease', { lease_seconds: 1 })).results.some((event) => event.id === ids[2])
    ))
  }
  await page.getByText('Lease events').click()
  await page.getByLabel('Seconds').fill('1')
  await eventually('the last lease', async () => {
    if (await page.getByText('Your lease of 1 event').isVisible()) return true
    await page.getByRole('button', { name: 'Lease', exact: true }).click(SOON).catch(() => {})
    return false
  })
  await page.getByText('leased 10 times').waitFor()
  await page.getByRole('button', { name: 'Close', exact: true }).click()
  await page.getByLabel('Status').selectOption('quarantined')
  assert.match(page.url(), /#\/inbox\?status=quarantined$/, 'the filter can be shared')
  // The API keeps the event from others a second longer than the lease lasts. Until then its answer says so.
  await eventually('it is released', async () => {
    if (await page.getByText('No event matches').isVisible()) return true
    await page.getByRole('checkbox', { name: `Select ${ids[2]}` }).check(SOON).catch(() => {})
    await page.getByRole('button', { name: 'Release from quarantine' }).click(SOON).catch(() => {})
    return false
  })
  assert.equal((await api(key, 'GET', `/api/events/${ids[2]}`)).status, 'pending')
  await close()
})

test('a key is created, and the session that uses it ends when it is revoked', async () => {
  const key = await newTenant()
  const owner = await openConsole({ key, hash: '#/keys' })
  await owner.page.getByText('this session').waitFor()
  await owner.page.getByRole('button', { name: 'Create a key' }).click()
  const form = owner.page.getByRole('dialog')
  await form.getByLabel('Name').fill('Reader')
  assert.ok(await form.getByRole('button', { name: 'Create' }).isDisabled(), 'a key needs a scope')
  await form.getByLabel('inbox:read').check()
  await form.getByRole('button', { name: 'Create' }).click()
  const second = await owner.page.locator('.secret code').textContent()
  await owner.page.getByRole('button', { name: 'I have stored it' }).click()

  const reader = await openConsole({ key: second, hash: '#/events', allowed: [401, 403] })
  await reader.page.getByText('No event yet').waitFor()
  await reader.page.getByText(`curl '`).waitFor()
  await visit(reader.page, 'Endpoints')
  await reader.page.getByText('endpoints:admin').first().waitFor()
  await visit(reader.page, 'Events')

  await owner.page.getByRole('button', { name: 'Revoke Reader' }).click()
  await owner.page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click()
  await reader.page.getByText('You are signed out').waitFor()
  assert.deepEqual(await reader.page.evaluate(() => Object.keys(sessionStorage).filter((name) => name.includes('credential'))), [])
  await reader.page.reload()
  await reader.page.getByRole('button', { name: 'Sign in' }).waitFor()
  await reader.close()
  await owner.close()
})

test('settings are saved, and an erasure needs the name', async () => {
  const key = await newTenant('To be erased')
  const { page, close } = await openConsole({ key, hash: '#/tenant', allowed: [401] })
  await page.getByLabel('Retention in days').fill('3')
  await page.getByLabel('only events that an endpoint matches').check()
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByText('3 of at most 90 days').waitFor()
  const download = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Export everything' }).click()
  assert.equal((await download).suggestedFilename(), 'triggers-export.ndjson')

  await page.getByRole('button', { name: 'Erase the tenant' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Name of the tenant').fill('to be erased')
  assert.ok(await dialog.getByRole('button', { name: 'Erase everything' }).isDisabled())
  await dialog.getByLabel('Name of the tenant').fill('To be erased')
  await dialog.getByRole('button', { name: 'Erase everything' }).click()
  await page.getByText('all API keys of the tenant are revoked').waitFor()
  await page.getByText('Items deleted').waitFor()
  await close()
})

test('an operator creates a tenant, suspends it, and gives it a key', async () => {
  const { page, close } = await openConsole({ allowed: [401] })
  await page.getByLabel('the admin token').check()
  await page.getByLabel('Admin token', { exact: true }).first().fill(ADMIN_TOKEN)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('button', { name: 'Create a tenant' }).click()
  const name = `Operated ${Date.now()}`
  await page.getByRole('dialog').getByLabel('Name').fill(name)
  await page.getByRole('button', { name: 'Create', exact: true }).click()
  assert.match(await page.locator('.secret code').textContent(), /^trg_/)
  await page.getByRole('button', { name: 'I have stored it' }).click()
  await page.getByRole('button', { name: `Suspend ${name}` }).click()
  await page.getByRole('dialog').getByLabel('Reason').fill('unpaid')
  await page.getByRole('button', { name: 'Suspend', exact: true }).click()
  await page.getByText('unpaid').waitFor()
  await page.getByRole('button', { name: `Resume ${name}` }).click()
  await page.getByRole('button', { name: `Suspend ${name}` }).waitFor()
  await page.getByRole('button', { name: `Create a key for ${name}` }).click()
  assert.match(await page.locator('.secret code').textContent(), /^trg_/)
  await page.getByRole('button', { name: 'I have stored it' }).click()
  await close()
})

test('a replay that takes long shows its progress and is cancelled', async () => {
  const key = await newTenant()
  const receiver = await newReceiver()
  await api(key, 'POST', '/api/endpoints', { url: receiver.url, event_types: ['*'] })
  const events = Array.from({ length: 120 }, (_, payload) => ({ type: 'many', payload }))
  await api(key, 'POST', '/api/events/batch', { events })
  await eventually('all are delivered', async () => (
    (await api(key, 'GET', '/api/events?status=delivered&limit=1000')).events.length === events.length
  ))
  const { page, close } = await openConsole({ key, hash: '#/replays' })
  await page.getByLabel('Status').selectOption('delivered')
  await page.getByLabel('Events per second').fill('1')
  await page.getByRole('button', { name: 'Replay', exact: true }).click()
  await eventually('it shows progress', async () => /^[1-9]\d* of 120 events seen/.test(await page.getByText('of 120 events seen').textContent()))
  await page.reload()
  await page.getByText('of 120 events seen').waitFor()

  // Another tab lists it too, and sees it end although it was cancelled here.
  const other = await openConsole({ key, hash: '#/replays' })
  await other.page.getByText('running', { exact: true }).waitFor()
  await page.getByRole('button', { name: /^Cancel rpl_/ }).click()
  await page.getByText('cancelled', { exact: true }).waitFor()
  await other.page.getByText('cancelled', { exact: true }).waitFor()
  await other.close()

  // A long list has pages: as many replays as may run, and the one that has ended.
  for (let n = 0; n < 10; n += 1) await api(key, 'POST', '/api/replays', { since: '2026-01-01T00:00:00Z', until: '2026-01-02T00:00:00Z', type: `of.${n}` })
  await page.reload()
  await eventually('a page', async () => await page.locator('article.replay').count() === 10)
  await page.getByRole('button', { name: 'Older' }).click()
  await page.getByText('of 120 events seen').waitFor()
  assert.equal(await page.locator('article.replay').count(), 1)
  await close()
})
