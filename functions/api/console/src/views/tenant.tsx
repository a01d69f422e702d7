// The tenant: its tier and settings, its export and its erasure.

import { useState } from 'preact/hooks'
import { call, get, send, withQuery, type Tenant } from '../api'
import { bytes, count, date } from '../format'
import { useLive } from '../live'
import { signOut } from '../session'
import { attempt, Button, Copy, Dialog, Field, Loading, Problem } from '../ui'
import { erasure } from './receipt'

export function TenantView() {
  const { data, error, loading, refresh } = useLive((abort) => get<Tenant>('/api/tenant', abort), 30, '')
  return (
    <>
      <header class="title"><h1 class="break">{data?.organization_name ?? 'Tenant'}</h1></header>
      <Problem error={error} />
      {loading && <Loading what="the tenant" />}
      {data && (
        <>
          <dl class="facts card">
            <dt>Id</dt><dd class="with-copy"><code class="break">{data.organization_id}</code><Copy text={data.organization_id} label="Copy the id" /></dd>
            <dt>Tier</dt><dd>{data.tier}</dd>
            <dt>Event limit</dt><dd>{count(data.rate_limit_per_minute)} events per minute</dd>
            <dt>Retention</dt><dd>{count(data.retention_days)} of at most {count(data.max_retention_days)} days</dd>
            <dt>Created</dt><dd>{date(data.created_at)}</dd>
          </dl>
          <Settings key={`${data.retention_days} ${data.inbox} ${data.handshake}`} tenant={data} onSaved={refresh} />
          <Export />
          <Erase name={data.organization_name} />
        </>
      )}
    </>
  )
}

function Settings({ tenant, onSaved }: { tenant: Tenant; onSaved: () => void }) {
  const [days, setDays] = useState(String(tenant.retention_days))
  const [inbox, setInbox] = useState(tenant.inbox)
  const [handshake, setHandshake] = useState(tenant.handshake)
  const save = () => attempt(async () => {
    await call('PATCH', '/api/tenant', { body: { retention_days: Number(days), inbox, handshake } })
    onSaved()
  }, 'Saved. It applies everywhere within 60 seconds.')
  return (
    <form class="card" onSubmit={(event) => { event.preventDefault(); void save() }}>
      <h2>Settings</h2>
      <Field label="Retention in days" hint="For events that are stored after the change.">
        {(attributes) => <input {...attributes} class="narrow" type="number" required min={1} max={tenant.max_retention_days} value={days} onInput={(event) => setDays(event.currentTarget.value)} />}
      </Field>
      <fieldset class="choices stacked">
        <legend>The inbox takes</legend>
        <label><input type="radio" name="inbox" checked={inbox === 'all'} onChange={() => setInbox('all')} /> every event</label>
        <label><input type="radio" name="inbox" checked={inbox === 'matched'} onChange={() => setInbox('matched')} /> only events that an endpoint matches; the others are kept in the log as unmatched</label>
      </fieldset>
      <fieldset class="choices stacked">
        <legend>Ownership handshake</legend>
        <label><input type="checkbox" checked={handshake} onChange={() => setHandshake(!handshake)} /> the URL of each endpoint is asked before it is set; URLs that are set already stay</label>
      </fieldset>
      <div class="actions"><Button kind="primary" type="submit">Save</Button></div>
    </form>
  )
}

/** Reads the export page by page, and gives it to the reader as one file. */
function Export() {
  const [size, setSize] = useState<number>()
  const run = () => attempt(async () => {
    const parts: string[] = []
    let cursor: string | null = ''
    let total = 0
    while (cursor !== null) {
      const page: Response = await send('GET', withQuery('/api/export', { cursor }))
      const text = await page.text()
      parts.push(text)
      total += text.length
      setSize(total)
      cursor = page.headers.get('X-Next-Cursor')
    }
    const link = document.createElement('a')
    link.href = URL.createObjectURL(new Blob(parts, { type: 'application/x-ndjson' }))
    link.download = 'triggers-export.ndjson'
    link.click()
    URL.revokeObjectURL(link.href)
  }, 'The export is complete.')
  return (
    <section class="card" aria-labelledby="export">
      <h2 id="export">Export</h2>
      <p>All data of the tenant as NDJSON: one object on each line, without secrets.</p>
      <div class="actions"><Button onClick={run}>Export everything</Button>{size !== undefined && <span class="quiet" role="status">{bytes(size)}</span>}</div>
    </section>
  )
}

function Erase({ name }: { name: string }) {
  const [open, setOpen] = useState(false)
  const [typed, setTyped] = useState('')
  const erase = () => attempt(async () => {
    const started = await call<{ receipt_url: string }>('DELETE', '/api/tenant', { body: { confirm: typed } })
    erasure.value = started.receipt_url
    signOut('The erasure has started, and all API keys of the tenant are revoked.')
  })
  return (
    <section class="card" aria-labelledby="erase">
      <h2 id="erase">Erase</h2>
      <p>Deletes the tenant with all its events, endpoints and keys. This cannot be undone. Export first.</p>
      <div class="actions"><Button kind="danger" onClick={() => setOpen(true)}>Erase the tenant</Button></div>
      {open && (
        <Dialog title="Erase the tenant?" onClose={() => setOpen(false)}>
          <form onSubmit={(event) => { event.preventDefault(); void erase() }}>
            <p>The data is deleted for good. Backups end after 35 days; the receipt lists what remains. To confirm, type the name of the tenant: <b class="break">{name}</b></p>
            <Field label="Name of the tenant">{(attributes) => <input {...attributes} autocomplete="off" value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />}</Field>
            <div class="actions"><Button onClick={() => setOpen(false)}>Cancel</Button><Button kind="danger" type="submit" disabled={typed !== name}>Erase everything</Button></div>
          </form>
        </Dialog>
      )}
    </section>
  )
}
