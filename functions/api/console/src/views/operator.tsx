// The tenants of the service, for the holder of the admin token.

import { useState } from 'preact/hooks'
import { call, get, withQuery, type Key, type ListedTenant } from '../api'
import { count, date } from '../format'
import { useLive } from '../live'
import { attempt, Badge, Button, Dialog, Field, Loading, Pages, Problem, Secret } from '../ui'

const TIERS = ['free', 'pro', 'business', 'enterprise']

export function Operator() {
  const [cursors, setCursors] = useState([''])
  const cursor = cursors.at(-1) ?? ''
  const load = (abort: AbortSignal) => get<{ tenants: ListedTenant[]; next_cursor: string | null }>(withQuery('/api/admin/tenants', { cursor }), abort)
  const { data, error, loading, refresh } = useLive(load, 30, cursor)
  const [creating, setCreating] = useState(false)
  const [suspending, setSuspending] = useState<ListedTenant>()
  const [secret, setSecret] = useState<string>()
  const next = data?.next_cursor ?? null
  const resume = (tenant: ListedTenant) => attempt(async () => {
    await call('POST', `/api/admin/tenants/${tenant.organization_id}/resume`)
    refresh()
  }, 'Resumed everywhere within one minute.')
  const newKey = (tenant: ListedTenant) => attempt(async () => {
    setSecret((await call<Key>('POST', `/api/admin/tenants/${tenant.organization_id}/keys`)).api_key)
  })
  return (
    <>
      <header class="title"><h1>Tenants</h1><div class="actions"><Button kind="primary" onClick={() => setCreating(true)}>Create a tenant</Button></div></header>
      <Problem error={error} />
      {loading && <Loading what="the tenants" />}
      {data && (
        <div class="scroll">
          <table class="events">
            <thead><tr><th scope="col">Tenant</th><th scope="col">Tier</th><th scope="col" class="number">Limit (events a minute)</th><th scope="col">Created</th><th scope="col">State</th><th scope="col"><span class="hidden">Actions</span></th></tr></thead>
            <tbody>
              {data.tenants.map((tenant) => (
                <tr key={tenant.organization_id}>
                  <td class="break"><b>{tenant.organization_name}</b><div class="quiet mono">{tenant.organization_id}</div></td>
                  <td>{tenant.tier}</td>
                  <td class="number">{count(tenant.rate_limit_per_minute)}</td>
                  <td class="whole">{date(tenant.created_at)}</td>
                  <td class="state">{tenant.suspended_at === null ? <Badge tone="good">active</Badge> : <><Badge tone="bad">suspended</Badge> <span class="quiet">{tenant.suspended_reason}</span></>}</td>
                  <td><span class="actions">
                    {tenant.suspended_at === null ? <Button label={`Suspend ${tenant.organization_name}`} onClick={() => setSuspending(tenant)}>Suspend</Button> : <Button label={`Resume ${tenant.organization_name}`} onClick={() => resume(tenant)}>Resume</Button>}
                    <Button label={`Create a key for ${tenant.organization_name}`} onClick={() => newKey(tenant)}>New key</Button>
                  </span></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <Pages cursors={cursors} next={next} onChange={setCursors} />
      {creating && <NewTenant onClose={() => setCreating(false)} onCreated={(key) => { setCreating(false); setSecret(key); refresh() }} />}
      {suspending && <Suspend tenant={suspending} onClose={() => setSuspending(undefined)} onDone={() => { setSuspending(undefined); refresh() }} />}
      {secret !== undefined && <Secret title="The API key" value={secret} onClose={() => setSecret(undefined)} />}
    </>
  )
}

function NewTenant({ onClose, onCreated }: { onClose: () => void; onCreated: (key: string) => void }) {
  const [name, setName] = useState('')
  const [tier, setTier] = useState('free')
  const create = () => attempt(async () => {
    onCreated((await call<{ api_key: string }>('POST', '/api/keys/generate', { body: { organization_name: name, tier } })).api_key)
  })
  return (
    <Dialog title="Create a tenant" onClose={onClose}>
      <form onSubmit={(event) => { event.preventDefault(); void create() }}>
        <Field label="Name">{(attributes) => <input {...attributes} required maxLength={255} value={name} onInput={(event) => setName(event.currentTarget.value)} />}</Field>
        <Field label="Tier">{(attributes) => <select {...attributes} value={tier} onChange={(event) => setTier(event.currentTarget.value)}>{TIERS.map((one) => <option>{one}</option>)}</select>}</Field>
        <div class="actions"><Button onClick={onClose}>Cancel</Button><Button kind="primary" type="submit">Create</Button></div>
      </form>
    </Dialog>
  )
}

function Suspend({ tenant, onClose, onDone }: { tenant: ListedTenant; onClose: () => void; onDone: () => void }) {
  const [reason, setReason] = useState('')
  const suspend = async () => {
    const body = { reason }
    if (await attempt(() => call('POST', `/api/admin/tenants/${tenant.organization_id}/suspend`, { body }), 'Suspended everywhere within one minute.')) onDone()
  }
  return (
    <Dialog title="Suspend the tenant?" onClose={onClose}>
      <form onSubmit={(event) => { event.preventDefault(); void suspend() }}>
        <p><b class="break">{tenant.organization_name}</b> can no longer post or change anything, and its deliveries wait. Nothing is lost.</p>
        <Field label="Reason" hint="The tenant cannot read it.">{(attributes) => <input {...attributes} required maxLength={255} value={reason} onInput={(event) => setReason(event.currentTarget.value)} />}</Field>
        <div class="actions"><Button onClick={onClose}>Cancel</Button><Button kind="danger" type="submit">Suspend</Button></div>
      </form>
    </Dialog>
  )
}
