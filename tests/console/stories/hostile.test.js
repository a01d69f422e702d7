// What a tenant, a client or a receiver writes is text, wherever the page shows it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api, eventually, newReceiver, newTenant, openConsole, visit } from '../support.js'

const RUN = 'window.executed=1'

/** Sixty strings that run a script where a page takes text for HTML, for an attribute, a URL, a script or a style. */
const STRINGS = [
  `<script>${RUN}</script>`, `"><script>${RUN}</script>`, `'><script>${RUN}</script>`, `</script><script>${RUN}</script>`,
  `</textarea><script>${RUN}</script>`, `</title><script>${RUN}</script>`, `</style><script>${RUN}</script>`, `</pre><script>${RUN}</script>`,
  `<img src=x onerror=${RUN}>`, `"><img src=x onerror=${RUN}>`, `'><img src=x onerror=${RUN}>`, `<img src=x onerror="${RUN}">`,
  `<img/src=x/onerror=${RUN}>`, `<IMG SRC=x ONERROR=${RUN}>`, `<img src=x onerror=${RUN}//`, `<img src="data:x" onerror=${RUN}>`,
  `<svg onload=${RUN}>`, `<svg/onload=${RUN}>`, `"><svg onload=${RUN}>`, `<svg><script>${RUN}</script></svg>`,
  `<svg><animate onbegin=${RUN} attributeName=x dur=1s>`, `<svg><set onbegin=${RUN} attributeName=x>`, `<svg><a xlink:href="javascript:${RUN}"><text>x</text></a></svg>`, `<math><mi//xlink:href="data:x,${RUN}">`,
  `<iframe srcdoc="<script>parent.${RUN}</script>">`, `<iframe src="javascript:parent.${RUN}">`, `<object data="javascript:${RUN}">`, `<embed src="javascript:${RUN}">`,
  `<body onload=${RUN}>`, `<video><source onerror=${RUN}></video>`, `<audio src=x onerror=${RUN}>`, `<details open ontoggle=${RUN}>`,
  `<input autofocus onfocus=${RUN}>`, `<select autofocus onfocus=${RUN}>`, `<textarea autofocus onfocus=${RUN}>`, `<marquee onstart=${RUN}>`,
  `<a href="javascript:${RUN}">x</a>`, `javascript:${RUN}`, `javascript:${RUN}//https://example.com`, `data:text/html,<script>${RUN}</script>`,
  `" onmouseover=${RUN} x="`, `' onmouseover=${RUN} x='`, `" autofocus onfocus=${RUN} x="`, `" style=animation-name:x onanimationstart=${RUN} x="`,
  `<style>@import 'https://attacker.example/x.css'</style>`, `<link rel=stylesheet href=https://attacker.example/x.css>`, `<base href=https://attacker.example/>`, `<meta http-equiv=refresh content="0;url=javascript:${RUN}">`,
  `<form action=https://attacker.example><button>x</button></form>`, `<div style="background:url(https://attacker.example/x.png)">`, `<img src=https://attacker.example/x.png>`, `<template><script>${RUN}</script></template>`,
  `{{constructor.constructor('${RUN}')()}}`, '${' + RUN + '}', `<%= ${RUN} %>`, `__html:<img src=x onerror=${RUN}>`,
  `&lt;img src=x onerror=${RUN}&gt;`, `%3Cscript%3E${RUN}%3C/script%3E`, `\\u003cscript\\u003e${RUN}\\u003c/script\\u003e`, `<noscript><p title="</noscript><img src=x onerror=${RUN}>">`,
]

test('sixty hostile strings are shown as text in every view', async () => {
  assert.equal(new Set(STRINGS).size, 60)
  const key = await newTenant(STRINGS[0])
  const receiver = await newReceiver()
  receiver.status = 503
  receiver.answer = STRINGS.join('\n').slice(0, 1000)
  const url = (n) => `${receiver.url}?${n}=${encodeURIComponent(STRINGS[n])}`
  const endpoints = []
  for (let n = 0; n < 40; n += 1) {
    const endpoint = { url: url(n), description: STRINGS[n], event_types: [`only.${n}.${STRINGS[n]}`, STRINGS[n + 20]], headers: { 'x-hostile': STRINGS[n] } }
    endpoints.push(await api(key, 'POST', '/api/endpoints', endpoint))
  }
  for (let n = 0; n < 38; n += 1) await api(key, 'POST', '/api/keys', { name: STRINGS[n + 22], scopes: ['inbox:read'] })
  const ids = []
  for (const text of STRINGS) {
    const payload = { [text]: text, nested: [{ text }] }
    ids.push((await api(key, 'POST', '/api/events', { type: text, payload, dedup_id: text })).id)
  }
  await eventually('all are stored', async () => (await api(key, 'GET', '/api/events')).events.length >= 60)
  await eventually('a receiver has answered', async () => (
    (await api(key, 'GET', `/api/endpoints/${endpoints[0].id}/attempts`)).attempts.length > 0
  ))

  const { page, close } = await openConsole({ key, hash: '#/', allowed: [404, 409] })
  const executed = () => page.evaluate(() => window.executed)
  /** Shows a view by its fragment, opens what can be opened, and moves over everything. */
  const look = async (hash, text) => {
    await page.evaluate((to) => { location.hash = to }, hash)
    await page.getByText(text).first().waitFor()
    await page.evaluate(() => {
      for (const details of document.querySelectorAll('details')) details.open = true
      for (const element of document.querySelectorAll('main *')) {
        for (const name of ['mouseover', 'focus', 'pointerenter']) element.dispatchEvent(new Event(name, { bubbles: true }))
      }
    })
    assert.equal(await executed(), undefined, hash)
  }
  await page.getByRole('heading', { name: 'Overview' }).waitFor()
  for (const [n, id] of ids.entries()) await look(`#/events/${id}`, STRINGS[n])
  await look('#/events', STRINGS[59])
  await look('#/inbox', STRINGS[0])
  await look('#/endpoints', STRINGS[0])
  for (const [n, endpoint] of endpoints.slice(0, 10).entries()) await look(`#/endpoints/${endpoint.id}`, STRINGS[n])
  for (let n = 0; n < 5; n += 1) await api(key, 'POST', '/api/replays', { since: '2020-01-01T00:00:00Z', type: STRINGS[n], endpoint_id: endpoints[n].id })
  await look('#/replays', STRINGS[0])
  await look('#/keys', STRINGS[22])
  await look('#/tenant', STRINGS[0])

  // The answer of a test, the edited endpoint with its preview, the explanation.
  await look(`#/endpoints/${endpoints[0].id}`, STRINGS[0])
  await page.getByRole('button', { name: 'Test' }).click()
  await page.getByText('The endpoint answered HTTP 503').waitFor()
  await page.getByRole('button', { name: 'Edit' }).click()
  await page.getByText('types among the newest').waitFor()
  await page.getByRole('button', { name: 'Cancel' }).click()
  await visit(page, 'Send')
  await page.getByLabel('Type', { exact: true }).fill(STRINGS[20])
  await page.getByRole('button', { name: 'Explain' }).click()
  await page.getByText('What would happen').waitFor()
  await page.evaluate(() => { for (const details of document.querySelectorAll('details')) details.open = true })
  assert.equal(await executed(), undefined)
  // The texts are there as they were written, so the strings really were shown.
  assert.ok((await page.locator('main').innerText()).includes(STRINGS[20]))
  await close()
})

test('a hostile URL of the page runs nothing', async () => {
  const key = await newTenant()
  const { page, close } = await openConsole({ key, hash: '#/events', allowed: [401, 403, 404, 422] })
  for (const [n, text] of STRINGS.entries()) {
    const encoded = encodeURIComponent(text)
    await page.evaluate((to) => { location.hash = to }, `#/events/${encoded}?type=${encoded}`)
    if (n % 10 === 0) await page.reload()
    await page.getByRole('heading', { name: 'Event', exact: true }).waitFor()
    await page.evaluate((to) => { location.hash = to }, `#/events?type=${encoded}&since=${encoded}&status=${encoded}`)
    await page.getByRole('heading', { name: 'Events', exact: true }).waitFor()
    assert.equal(await page.getByLabel('Type').inputValue(), text)
    assert.equal(await page.evaluate(() => window.executed), undefined, text)
  }
  await close()
})
