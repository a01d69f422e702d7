// The client of @hey-api/openapi-ts. It takes the URL of the API from the document.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { client } from '../generated/hey/client.gen.js'
import {
  acknowledgeEvents, createEndpoint, createKey, createReplay, createTenant, exportEvents, leaseEvents, listEvents, postEvent,
} from '../generated/hey/sdk.gen.js'
import { ADMIN_TOKEN, NO_RECEIVER, URL_OF_API, eventually } from '../support.js'

test('@hey-api/openapi-ts: from the key to the export', async () => {
  assert.equal(client.getConfig().baseUrl, URL_OF_API, 'the URL of the document')
  const tenant = await createTenant({ auth: ADMIN_TOKEN, body: { organization_name: 'Generated' } })
  assert.ok(tenant.data, JSON.stringify(tenant.error))
  client.setConfig({ auth: tenant.data.api_key })

  const key = await createKey({ body: { name: 'Sender', scopes: ['events:write'] } })
  const endpoint = await createEndpoint({ body: { url: NO_RECEIVER, event_types: ['order.*'] } })
  assert.ok(endpoint.data, JSON.stringify(endpoint.error))
  const sent = await postEvent({ auth: key.data!.api_key, body: { type: 'user.created', payload: { id: 1 } } })
  assert.equal(sent.response?.status, 202, JSON.stringify(sent.error))
  const cloudEvent = await postEvent({
    headers: { 'ce-specversion': '1.0', 'ce-id': 'c1', 'ce-source': '/story', 'ce-type': 'user.renamed' },
    body: { type: 'data', payload: 1 },
  })
  assert.equal(cloudEvent.response?.status, 202, JSON.stringify(cloudEvent.error))

  await eventually('both events are stored', async () => {
    const log = await listEvents({ query: { type: 'user.renamed', limit: 10 } })
    return log.data?.events.length === 1 ? true : undefined
  })
  const lease = await leaseEvents({ body: { lease_limit: 10 } })
  assert.ok(lease.data?.lease_id, JSON.stringify(lease.error))
  const acknowledged = await acknowledgeEvents({ body: { lease_id: lease.data.lease_id } })
  assert.ok(acknowledged.data, JSON.stringify(acknowledged.error))
  const replay = await createReplay({ body: { since: '2026-01-01T00:00:00Z', dry_run: true } })
  assert.ok(replay.data, JSON.stringify(replay.error))
  const exported = await exportEvents({ parseAs: 'text' })
  assert.match(exported.data as string, /user\.renamed/)
})
