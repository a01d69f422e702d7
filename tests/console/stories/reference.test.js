// The API reference: every operation with its examples, operations that are tried, and the key that stays in the page.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { api, eventually, findViolations, newTenant, openConsole, URL_OF_API } from '../support.js'

const LANGUAGES = ['curl', 'Python', 'JavaScript']

/** Swagger UI begins its dialog and the labels in it with levels of its own. It is a rule of good practice, not of WCAG. */
const OF_SWAGGER_UI = ['heading-order']

const openReference = (options) => openConsole({ path: '/docs', ...options })

const block = (page, id) => page.locator(`.opblock[id$="-${id}"]`)

/** Opens an operation. Returns its block. */
async function open(page, id) {
  const found = block(page, id)
  await found.locator('.opblock-summary-control').click()
  await found.getByRole('tablist', { name: 'Language' }).waitFor()
  return found
}

/** Returns the example in a language. */
async function example(found, language) {
  const examples = found.getByRole('group', { name: 'Examples' })
  await examples.getByRole('tab', { name: language, exact: true }).click()
  return examples.getByRole('tabpanel', { name: language }).innerText()
}

/** Enters a key in the dialog. */
async function authorize(page, key) {
  await page.getByRole('button', { name: 'Authorize' }).click()
  const dialog = page.getByRole('dialog', { name: 'Authorizations' })
  await dialog.getByLabel('Value').first().fill(key)
  await dialog.getByRole('button', { name: 'Authorize' }).first().click()
  await dialog.getByRole('button', { name: 'Close' }).first().click()
  await dialog.waitFor({ state: 'detached' })
}

/** Sends the request of an operation. Returns the status and the body that the page shows. */
async function tryOut(found) {
  await found.getByRole('button', { name: 'Try it out' }).click()
  await found.getByRole('button', { name: 'Execute' }).click()
  const answer = found.locator('.live-responses-table .response')
  const status = await answer.locator('.response-col_status').innerText()
  return { status: Number.parseInt(status, 10), body: await answer.locator('.microlight').first().innerText() }
}

test('every operation has an example in each language', async () => {
  const openapi = await api('', 'GET', '/openapi.json')
  const operations = Object.entries(openapi.paths).flatMap(([path, item]) => (
    Object.entries(item).map(([method, { operationId, requestBody }]) => ({ path, method, operationId, requestBody }))
  ))
  const { page, close } = await openReference()
  await page.locator('.opblock').first().waitFor()
  assert.equal(await page.locator('.opblock').count(), operations.length)
  for (const { path, method, operationId, requestBody } of operations) {
    // Clicked by script: fifty operations with three tabs each take a pointer minutes.
    const found = block(page, operationId)
    await found.locator('.opblock-summary-control').dispatchEvent('click')
    const texts = await found.getByRole('group', { name: 'Examples' }).evaluate(async (group) => {
      const shown = []
      for (const tab of group.querySelectorAll('[role=tab]')) {
        tab.click()
        await new Promise((done) => setTimeout(done))
        shown.push([tab.textContent, group.querySelector('[role=tabpanel]').textContent])
      }
      return shown
    })
    assert.deepEqual(texts.map(([language]) => language), LANGUAGES, operationId)
    for (const [language, text] of texts) {
      assert.ok(text.includes(URL_OF_API + path.split('{')[0]), `${operationId} in ${language}: ${text}`)
      assert.ok(!/undefined|\{id\}|\[object/.test(text), `${operationId} in ${language}: ${text}`)
      assert.ok(text.startsWith({ curl: 'curl ', Python: 'import ', JavaScript: 'const response = await fetch(' }[language]), text)
      if (method !== 'get' && language !== 'curl') assert.ok(text.includes(method.toUpperCase()), text)
      if (requestBody) assert.ok(text.includes('application/json'), text)
    }
    await found.locator('.opblock-summary-control').dispatchEvent('click')
  }
  await close()
})

test('an operation is tried, and the key stays in the page', async () => {
  const key = await newTenant('Reader')
  const { page, close } = await openReference()
  const health = await tryOut(await open(page, 'readHealth'))
  assert.equal(health.status, 200)
  assert.match(health.body, /"status"/)

  await authorize(page, key)
  const posted = await tryOut(await open(page, 'postEvent'))
  assert.equal(posted.status, 202)
  const [id] = /evt_[0-9a-f]{32}/.exec(posted.body)
  await eventually('the event is stored', async () => (await api(key, 'GET', '/api/events')).events.some((event) => event.id === id))

  const held = await page.evaluate(() => JSON.stringify([localStorage, sessionStorage, location.href, document.cookie]))
  assert.ok(!held.includes(key), held)
  assert.ok(!(await page.locator('body').innerText()).includes(key), 'the page does not show the key')
  await page.reload()
  await page.getByRole('button', { name: 'Authorize' }).click()
  await page.getByRole('dialog').getByLabel('Value').first().waitFor()
  assert.equal(await page.getByRole('button', { name: 'Logout' }).count(), 0, 'a page that is loaded again has no key')
  await close()
})

test('the console leads to the reference, which uses the key of its tab', async () => {
  const key = await newTenant('Reader')
  const { page, close } = await openConsole({ key })
  await page.getByRole('link', { name: 'API reference' }).click()
  assert.equal((await tryOut(await open(page, 'listKeys'))).status, 200)
  await page.getByRole('link', { name: 'Console' }).click()
  await page.getByRole('heading', { name: 'Overview' }).waitFor()
  await close()
})

test('the examples run as they are', async () => {
  const programs = {
    curl: (text) => ['sh', ['-c', `${text.replace(/^curl/, 'curl -s')} -w ' %{http_code}'`]],
    Python: (text) => ['python3', ['-c', text]],
    JavaScript: (text) => ['node', ['--input-type=module', '-e', text]],
  }
  const { page, close } = await openReference()
  const found = { post: await open(page, 'postEvent'), keys: await open(page, 'createKey'), read: await open(page, 'listInbox') }
  for (const language of LANGUAGES) {
    const run = async (text) => {
      const [program, values] = programs[language](text)
      return (await promisify(execFile)(program, values, { env: { ...process.env, KEY } })).stdout
    }
    const KEY = await newTenant(language)
    const posted = await run(await example(found.post, language))
    assert.match(posted, /\b202\b/, language)
    assert.match(posted, /evt_[0-9a-f]{32}/, language)
    assert.match(await run(await example(found.keys, language)), /\b201\b/, language)
    assert.match(await run(await example(found.read, language)), /\b200\b/, language)
  }
  await close()
})

for (const [scheme, width] of [['light', 1280], ['dark', 1280], ['light', 360], ['dark', 360]]) {
  test(`the reference is accessible: ${scheme}, ${width} px`, async () => {
    const { page, close } = await openReference({ scheme, width })
    const check = async (what) => {
      assert.deepEqual(await findViolations(page, OF_SWAGGER_UI), [], what)
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      assert.ok(overflow <= 0, `${what} is ${overflow} px wider than the window`)
    }
    await page.locator('.opblock').first().waitFor()
    await check('the list')
    for (const id of ['postEvent', 'changeEndpoint', 'deleteKey']) await open(page, id)
    await check('an operation')
    const schema = block(page, 'postEvent').locator('.model-example').first()
    await schema.getByText('Schema').click()
    await schema.getByRole('button', { name: 'Expand all' }).first().click()
    await check('a schema')
    await schema.getByText('Example Value').click()
    await tryOut(await open(page, 'readHealth'))
    await block(page, 'postEvent').getByRole('button', { name: 'Try it out' }).click()
    await check('a request and an answer')
    await page.locator('section.models').getByRole('button', { name: 'Schemas' }).click()
    await check('the schemas')
    await page.getByRole('button', { name: 'Authorize' }).click()
    await page.getByRole('dialog').waitFor()
    await check('the dialog')
    await close()
  })
}

test('the keyboard suffices for the reference', async () => {
  const { page, close } = await openReference()
  await page.locator('.opblock').first().waitFor()
  const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim() ?? '')
  await page.keyboard.press('Tab')
  assert.equal(await focused(), 'Skip to the content')
  await page.keyboard.press('Enter')
  await page.keyboard.press('Tab')
  assert.equal(await focused(), 'Authorize')

  // The dialog takes the focus, keeps it, and gives it back.
  await page.keyboard.press('Enter')
  const dialog = page.getByRole('dialog')
  await dialog.waitFor()
  for (let n = 0; n < 15; n += 1) {
    assert.ok(await page.evaluate(() => document.activeElement?.closest('[role=dialog]') !== null), 'the focus stays in the dialog')
    await page.keyboard.press('Tab')
  }
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'detached' })
  assert.equal(await focused(), 'Authorize')

  // An operation opens, and its tabs are one stop whose arrow keys choose.
  await block(page, 'postEvent').locator('.opblock-summary-control').focus()
  await page.keyboard.press('Enter')
  const examples = block(page, 'postEvent').getByRole('group', { name: 'Examples' })
  await examples.getByRole('tab', { name: 'curl' }).focus()
  await page.keyboard.press('ArrowRight')
  assert.equal(await focused(), 'Python')
  await page.keyboard.press('End')
  assert.match(await examples.getByRole('tabpanel').innerText(), /await fetch/)
  await page.keyboard.press('ArrowRight')
  assert.equal(await focused(), 'curl')
  await close()
})

test('the theme of the reference is that of the console', async () => {
  const { page, close } = await openReference({ scheme: 'dark' })
  await page.getByRole('button', { name: 'Use the light theme' }).click()
  await page.getByRole('link', { name: 'Console' }).click()
  await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'light')
  await close()
})
