// The types of openapi-typescript, used by openapi-fetch: each member that is read here is known to the compiler.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import createClient from 'openapi-fetch'
import type { paths } from '../generated/types.js'
import { ADMIN_TOKEN, NO_RECEIVER, URL_OF_API, eventually } from '../support.js'

test('openapi-typescript and openapi-fetch: from the key to the export', async () => {
  const operator = createClient<paths>({ baseUrl: URL_OF_API, headers: { 'X-Admin-Token': ADMIN_TOKEN } })
  const tenant = await operator.POST('/api/keys/generate', { body: { organization_name: 'Generated', tier: 'pro' } })
  assert.ok(tenant.data, JSON.stringify(tenant.error))
  const api = createClient<paths>({ baseUrl: URL_OF_API, headers: { 'X-API-Key': tenant.data.api_key } })

  const key = await api.POST('/api/keys', { body: { name: 'Reader', scopes: ['inbox:read'] } })
  assert.match(key.data?.api_key ?? '', /^trg_/)
  const endpoint = await api.POST('/api/endpoints', { body: { url: NO_RECEIVER, event_types: ['order.*'], paused: true } })
  assert.match(endpoint.data?.secret ?? '', /^whsec_/)
  const changed = await api.PATCH('/api/endpoints/{id}', {
    params: { path: { id: endpoint.data!.id } },
    body: { description: 'changed', rate_per_second: null },
  })
  assert.equal(changed.data?.description, 'changed')

  const sent = await api.POST('/api/events', { body: { type: 'user.created', payload: { id: 1 }, dedup_id: 'one' } })
  assert.equal(sent.data?.id.startsWith('evt_'), true, JSON.stringify(sent.error))
  const again = await api.POST('/api/events', { body: { type: 'user.created', payload: { id: 1 }, dedup_id: 'one' } })
  assert.equal(again.response.status, 409)
  const wrong = await api.POST('/api/events', { body: { type: '', payload: 1 } })
  assert.equal(wrong.response.status, 422)
  assert.match((wrong.error as { detail: string }).detail, /type/)
  const cloudEvent = await api.POST('/api/events', {
    headers: { 'Content-Type': 'application/cloudevents+json' },
    body: { specversion: '1.0', id: 'c1', source: '/story', type: 'user.renamed', data: { id: 1 } },
  })
  assert.equal(cloudEvent.response.status, 202, JSON.stringify(cloudEvent.error))
  const batch = await api.POST('/api/events/batch', { body: { events: [{ type: 'user.created', payload: 2 }] } })
  assert.equal(batch.data?.results.length, 1)

  const events = await eventually('three events are in the inbox', async () => {
    const inbox = await api.GET('/api/inbox', { params: { query: { limit: 10 } } })
    return inbox.data?.events.length === 3 ? inbox.data.events : undefined
  })
  assert.ok(events.every((event) => event.status === 'pending'))
  const lease = await api.POST('/api/inbox/lease', { body: { lease_limit: 10, lease_seconds: 60 } })
  assert.ok(lease.data?.lease_id, JSON.stringify(lease.error))
  const acknowledged = await api.POST('/api/inbox/ack', { body: { lease_id: lease.data.lease_id } })
  assert.equal(acknowledged.response.status, 200)
  const replay = await api.POST('/api/replays', { body: { since: '2026-01-01T00:00:00Z', dry_run: true } })
  assert.equal(replay.response.status, 200, JSON.stringify(replay.error))
  const exported = await api.GET('/api/export', { parseAs: 'text' })
  assert.ok(exported.data!.split('\n').some((line) => line.includes('user.renamed')))
})
