// Each view, light and dark, narrow and wide: no violation of axe, nothing wider than the window, and the keyboard suffices.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { ADMIN_TOKEN, api, findViolations, eventually, newReceiver, newTenant, openConsole, visit } from '../support.js'

const world = {}

before(async () => {
  world.key = await newTenant('Views')
  const { key } = world
  const receiver = await newReceiver()
  receiver.status = 503
  receiver.answer = 'broken'
  const endpoint = (pattern, more) => api(key, 'POST', '/api/endpoints', { url: `${receiver.url}/${pattern}`, event_types: [pattern], ...more })
  world.endpoint = await endpoint('order.created', { description: 'Orders', headers: { 'x-team': 'billing' } })
  await endpoint('order.paid', { paused: true })
  world.failing = (await api(key, 'POST', '/api/events', { type: 'order.created', payload: { total: 1.5 } })).id
  world.waiting = (await api(key, 'POST', '/api/events', { type: 'customer.created', payload: [] })).id
  await eventually('an attempt has failed', async () => (
    (await api(key, 'GET', `/api/endpoints/${world.endpoint.id}/attempts`)).attempts.length > 0
  ))
  await api(key, 'POST', '/api/replays', { since: '2026-01-01T00:00:00Z', until: '2026-01-02T00:00:00Z' })
  await eventually('both are stored', async () => (await api(key, 'GET', '/api/events')).events.length === 2)
})

const opened = (name) => async (page) => {
  await page.getByRole('button', { name }).click()
  await page.getByRole('dialog').waitFor()
}

/** Each view: where it is, what it shows when it is complete, and what else is opened. */
const views = () => [
  ['Overview', '#/', async (page) => { await page.getByText('The numbers').first().click(); await page.getByText('No delivery failed').waitFor() }],
  ['Events', '#/events', (page) => page.getByText('customer.created').first().waitFor()],
  ['Events that do not match', '#/events?status=acked', (page) => page.getByText('No event matches').waitFor()],
  ['Event that fails', `#/events/${world.failing}`, async (page) => { await page.getByText('The answer').first().click(); await page.getByText('broken').first().waitFor() }],
  ['Event that waits', `#/events/${world.waiting}`, (page) => page.getByText('it waits in the inbox').waitFor()],
  ['Deletion', `#/events/${world.waiting}`, opened('Delete')],
  ['Send', '#/send', async (page) => { await page.getByRole('button', { name: 'Explain' }).click(); await page.getByText('What would happen').waitFor(); await page.getByText('The request').first().click() }],
  ['Endpoints', '#/endpoints', (page) => page.getByText('Paused').waitFor()],
  ['New endpoint', '#/endpoints', async (page) => { await opened('Create an endpoint')(page); await page.getByText('types among the newest').waitFor() }],
  ['Endpoint', `#/endpoints/${world.endpoint.id}`, async (page) => { await page.getByRole('button', { name: 'Test' }).click(); await page.getByText('The endpoint answered HTTP 503').waitFor() }],
  ['Inbox', '#/inbox', async (page) => { await page.getByText('Lease events').click(); await page.getByText('pending').last().waitFor() }],
  ['Replays', '#/replays', (page) => page.getByText('events seen').first().waitFor()],
  ['Keys', '#/keys', (page) => page.getByText('this session').waitFor()],
  ['New key', '#/keys', opened('Create a key')],
  ['Tenant', '#/tenant', (page) => page.getByText('Export everything').waitFor()],
]

for (const [scheme, width] of [['light', 1280], ['dark', 1280], ['light', 360], ['dark', 3840]]) {
  test(`every view is accessible: ${scheme}, ${width} px`, async () => {
    const found = []
    for (const [name, hash, complete] of views()) {
      const { page, close } = await openConsole({ key: world.key, hash, scheme, width })
      await complete(page)
      await page.evaluate(() => Promise.all(document.getAnimations().map((one) => one.finished.catch(() => {}))))
      for (const violation of await findViolations(page)) found.push(`${name}: ${violation}`)
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      if (overflow > 0) found.push(`${name} is ${overflow} px wider than the window`)
      await close()
    }
    const operator = await openConsole({ key: ADMIN_TOKEN, kind: 'admin', scheme, width })
    await operator.page.getByRole('button', { name: 'Suspend Views' }).first().click()
    await operator.page.getByRole('dialog').waitFor()
    for (const violation of await findViolations(operator.page)) found.push(`Operator: ${violation}`)
    await operator.close()
    const { page, close } = await openConsole({ scheme, width })
    await page.getByText('Create a tenant').click()
    for (const violation of await findViolations(page)) found.push(`Sign in: ${violation}`)
    await close()
    assert.deepEqual(found, [])
  })
}

test('the keyboard suffices: skip link, navigation, dialog, focus that comes back', async () => {
  const { page, close } = await openConsole({ key: world.key, hash: '#/keys' })
  await page.getByText('this session').waitFor()
  const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim().slice(0, 40) ?? '')
  await page.keyboard.press('Tab')
  assert.equal(await focused(), 'Skip to the content')
  await page.keyboard.press('Enter')
  assert.equal(await page.evaluate(() => document.activeElement?.id), 'main')
  await page.keyboard.press('Tab')
  assert.equal(await focused(), 'Create a key')
  await page.keyboard.press('Enter')
  await page.getByRole('dialog').waitFor()
  for (let n = 0; n < 30; n += 1) {
    await page.keyboard.press('Tab')
    const isInside = await page.evaluate(() => document.activeElement === document.body || document.activeElement?.closest('dialog') !== null)
    assert.ok(isInside, 'the focus stays in the dialog')
  }
  await page.keyboard.press('Escape')
  assert.equal(await page.getByRole('dialog').count(), 0)
  assert.equal(await focused(), 'Create a key')
  await visit(page, 'Inbox')
  await page.waitForFunction(() => document.activeElement?.id === 'main') // a new view has the focus
  await close()
})

test('the theme follows the system until the reader chooses', async () => {
  const { page, close } = await openConsole({ key: world.key, scheme: 'dark', hash: '#/keys' })
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
  const dark = await background()
  await page.getByRole('button', { name: 'Use the light theme' }).click()
  const light = await background()
  assert.notEqual(light, dark)
  await page.reload()
  await page.getByRole('button', { name: 'Use the dark theme' }).waitFor()
  assert.equal(await background(), light)
  await close()
})
