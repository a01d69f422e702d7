// Events of the CloudEvents SDK for JavaScript, in each of its modes: sent, sent again, and read back with the SDK.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CloudEvent, HTTP } from 'cloudevents'
import type { CloudEventV1, Message } from 'cloudevents'
import { ADMIN_TOKEN, URL_OF_API, eventually } from '../support.js'

const SOURCE = { source: '/shop/berlin', type: 'com.example.order.created' }
const ORDER = { order: 'A-1042', total: 79.9, name: 'Größe \u{1F600}', lines: [1, null, true] }

/** Attributes and data of events of all kinds that the SDK makes. */
const WANTED: Partial<CloudEventV1<unknown>>[] = [
  { id: 'none' },
  { id: 'json', datacontenttype: 'application/json', data: ORDER },
  { id: 'json-charset', datacontenttype: 'application/json; charset=utf-8', data: ORDER },
  { id: 'json-suffix', datacontenttype: 'application/vnd.shop+json', data: ORDER },
  { id: 'no-type', data: ORDER },
  { id: 'list', datacontenttype: 'application/json', data: [1, 'two'] },
  { id: 'text', datacontenttype: 'text/plain', data: 'Größe 1/2 \u{1F600}' },
  { id: 'bytes', datacontenttype: 'application/octet-stream', data: new Uint8Array([0, 159, 146, 150, 255]) },
  { id: 'schema', datacontenttype: 'application/json', dataschema: 'https://example.com/order.json', data: ORDER },
  { id: 'attributes', subject: 'orders/1042', time: '2026-11-29T17:00:00.123Z', priority: 7, urgent: true, shop: 'berlin' },
]

interface Answer {
  id: string
  status: string
}

async function signUp(): Promise<string> {
  const answer = await fetch(`${URL_OF_API}/api/keys/generate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-admin-token': ADMIN_TOKEN },
    body: JSON.stringify({ organization_name: 'CloudEvents', tier: 'pro' }),
  })
  return ((await answer.json()) as { api_key: string }).api_key
}

/** Returns the body of a message as fetch takes it. The SDK leaves JSON data of a binary message as it is. */
function bodyOf(message: Message): string | Uint8Array<ArrayBuffer> {
  const body = message.body as unknown
  return body instanceof Uint8Array ? new Uint8Array(body) : typeof body === 'string' ? body : JSON.stringify(body)
}

test('the CloudEvents SDK for JavaScript: every event arrives once, and is read back', async () => {
  const key = await signUp()
  const post = async <T>(path: string, headers: Record<string, string>, body: string | Uint8Array<ArrayBuffer>, code = 202) => {
    const answer = await fetch(URL_OF_API + path, { method: 'POST', headers: { ...headers, 'x-api-key': key }, body })
    const json = (await answer.json()) as T
    assert.equal(answer.status, code, JSON.stringify(json))
    return json
  }
  const read = (id: string) =>
    eventually(`${id} is stored`, async () => {
      const answer = await fetch(`${URL_OF_API}/api/events/${id}`, { headers: { 'x-api-key': key } })
      if (answer.status !== 200) return undefined
      const { payload } = (await answer.json()) as { payload: unknown }
      const headers = { 'content-type': 'application/cloudevents+json' }
      return HTTP.toEvent({ headers, body: JSON.stringify(payload) }) as CloudEvent<unknown>
    })
  const compare = (stored: CloudEvent<unknown>, sent: CloudEvent<unknown>, isBinary: boolean) => {
    const expected: Record<string, unknown> = { ...sent.toJSON() }
    if (isBinary) {
      expected['datacontenttype'] ??= 'application/json; charset=utf-8' // the SDK sends this type with every binary message
      // A header has no type: numbers and truth values become text.
      for (const name of ['priority', 'urgent']) if (name in expected) expected[name] = String(expected[name])
    }
    assert.deepEqual(JSON.parse(JSON.stringify(stored)), JSON.parse(JSON.stringify(expected)), sent.id)
  }

  for (const mode of ['binary', 'structured'] as const) {
    for (const wanted of WANTED) {
      const event = new CloudEvent({ ...SOURCE, ...wanted, id: `${mode}-${wanted.id}` })
      const answers: Answer[] = []
      for (const status of ['accepted', 'duplicate']) {
        const message = HTTP[mode](event)
        const answer = await post<Answer>('/api/events', message.headers as Record<string, string>, bodyOf(message))
        assert.equal(answer.status, status, event.id)
        answers.push(answer)
      }
      assert.equal(answers[0]!.id, answers[1]!.id, event.id)
      compare(await read(answers[0]!.id), event, mode === 'binary')
    }
  }

  const events = WANTED.map((wanted) => new CloudEvent({ ...SOURCE, ...wanted, id: `batch-${wanted.id}` }))
  for (const [path, status, code] of [['/api/events/batch', 'accepted', 202], ['/api/events', 'duplicate', 207]] as const) {
    const headers = { 'content-type': 'application/cloudevents-batch+json' }
    const { results } = await post<{ results: Answer[] }>(path, headers, JSON.stringify(events), code)
    assert.ok(results.every((result) => result.status === status))
    for (const [index, event] of events.entries()) compare(await read(results[index]!.id), event, false)
  }
})
