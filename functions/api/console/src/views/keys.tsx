// The API keys of the tenant.

import { useState } from 'preact/hooks'
import { ApiError, call, get, type Key } from '../api'
import { count, date, fromLocalInput } from '../format'
import { useLive } from '../live'
import { credential } from '../session'
import { attempt, Badge, Button, Confirm, Dialog, Field, Loading, Problem, Secret, Time } from '../ui'

const SCOPES: [string, string][] = [
  ['events:write', 'post events'],
  ['inbox:read', 'read events, statistics and the tenant'],
  ['inbox:ack', 'lease, acknowledge and release'],
  ['endpoints:admin', 'manage endpoints'],
  ['events:replay', 'replay events'],
  ['keys:admin', 'manage API keys'],
  ['tenant:admin', 'change settings, delete events, export, erase, read the audit trail'],
]

/** Whether this looks like the key of the session. */
const isOwn = (key: Key) => credential.value?.value.endsWith(key.last4) ?? false

export function Keys() {
  const { data, error, loading, refresh } = useLive((abort) => get<{ keys: Key[] }>('/api/keys', abort), 15, '')
  const [creating, setCreating] = useState(false)
  const [secret, setSecret] = useState<string>()
  const [revoking, setRevoking] = useState<Key>()
  const revoke = async () => {
    if (!revoking) return
    await attempt(() => call('DELETE', `/api/keys/${revoking.id}`), 'Revoked. It can still be accepted for up to 60 seconds.')
    setRevoking(undefined)
    refresh()
  }
  return (
    <>
      <header class="title">
        <h1>Keys</h1>
        <div class="actions"><Button kind="primary" onClick={() => setCreating(true)}>Create a key</Button></div>
      </header>
      <Problem error={error} />
      {loading && <Loading what="the keys" />}
      {data && (
        <div class="scroll">
          <table class="events">
            <thead><tr><th scope="col">Name</th><th scope="col">Ends in</th><th scope="col">Scopes</th><th scope="col" class="number">Limit (events a minute)</th><th scope="col">Last used</th><th scope="col">Expires</th><th scope="col"><span class="hidden">Actions</span></th></tr></thead>
            <tbody>
              {data.keys.map((key) => (
                <tr key={key.id}>
                  <td class="break"><b>{key.name}</b>{isOwn(key) && <> <Badge tone="busy">this session</Badge></>}<div class="quiet">created {date(key.created_at)}</div></td>
                  <td><code>…{key.last4}</code></td>
                  <td class="break">{key.scopes.length === SCOPES.length ? 'all' : key.scopes.map((scope) => <code class="chip">{scope}</code>)}</td>
                  <td class="number">{count(key.rate_limit_per_minute)}</td>
                  <td><Time at={key.last_used_at} relative /></td>
                  <td>{key.expires_at === null ? <span class="quiet">never</span> : <Time at={key.expires_at} />}</td>
                  <td><Button label={`Revoke ${key.name}`} onClick={() => setRevoking(key)}>Revoke</Button></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <p class="hint">A use is recorded at most every 15 minutes.</p>
      {creating && <NewKey onClose={() => setCreating(false)} onCreated={(key) => { setCreating(false); setSecret(key.api_key); refresh() }} />}
      {secret !== undefined && <Secret title="The API key" value={secret} onClose={() => setSecret(undefined)} />}
      {revoking && (
        <Confirm title="Revoke the key?" action="Revoke" onConfirm={revoke} onClose={() => setRevoking(undefined)}>
          <p>Requests with <b class="break">{revoking.name}</b> (…{revoking.last4}) are refused within 60 seconds.{isOwn(revoking) && ' It is the key of this session: you will be signed out.'}</p>
        </Confirm>
      )}
    </>
  )
}

function NewKey({ onClose, onCreated }: { onClose: () => void; onCreated: (key: Key) => void }) {
  const [name, setName] = useState('')
  const [scopes, setScopes] = useState<string[]>([])
  const [expires, setExpires] = useState('')
  const [rate, setRate] = useState('')
  const [error, setError] = useState<ApiError>()
  const create = async () => {
    setError(undefined)
    const body = { name, scopes, expires_at: fromLocalInput(expires) || null, rate_limit_per_minute: rate ? Number(rate) : null }
    try {
      onCreated(await call<Key>('POST', '/api/keys', { body }))
    } catch (problem) {
      if (!(problem instanceof ApiError)) throw problem
      setError(problem)
    }
  }
  return (
    <Dialog title="Create a key" onClose={onClose}>
      <form onSubmit={(event) => { event.preventDefault(); void create() }}>
        <Field label="Name">{(attributes) => <input {...attributes} required maxLength={255} value={name} onInput={(event) => setName(event.currentTarget.value)} />}</Field>
        <fieldset class="choices stacked">
          <legend>Scopes</legend>
          {SCOPES.map(([scope, meaning]) => (
            <label>
              <input type="checkbox" checked={scopes.includes(scope)} onChange={() => setScopes(scopes.includes(scope) ? scopes.filter((one) => one !== scope) : [...scopes, scope])} />
              <code>{scope}</code> <span class="quiet">{meaning}</span>
            </label>
          ))}
        </fieldset>
        <div class="columns">
          <Field label="Expires" hint="Empty: when this session's key expires.">{(attributes) => <input {...attributes} type="datetime-local" value={expires} onInput={(event) => setExpires(event.currentTarget.value)} />}</Field>
          <Field label="Events a minute" hint="Empty: the same as this session's key.">{(attributes) => <input {...attributes} type="number" min={1} value={rate} onInput={(event) => setRate(event.currentTarget.value)} />}</Field>
        </div>
        <Problem error={error} />
        <div class="actions"><Button onClick={onClose}>Cancel</Button><Button kind="primary" type="submit" disabled={scopes.length === 0}>Create</Button></div>
      </form>
    </Dialog>
  )
}
