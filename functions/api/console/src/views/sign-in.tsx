// Signing in with an API key or the admin token, and creating the first tenant.

import { useState } from 'preact/hooks'
import { ApiError, base, call, type ListedTenant, type Stats } from '../api'
import { credential, goodbye, signIn, type Credential } from '../session'
import { Mark } from '../mark'
import { announce, Button, Code, Field, Problem, Secret } from '../ui'
import { Receipt, erasure } from './receipt'

export function SignIn() {
  const [kind, setKind] = useState<Credential['kind']>('key')
  const [value, setValue] = useState('')
  const [error, setError] = useState<ApiError>()

  const submit = async () => {
    const who = { kind, value: value.trim() }
    setError(undefined)
    try {
      if (kind === 'key') await call<Stats>('GET', '/api/stats?window=1m', { as: who })
      else await call<{ tenants: ListedTenant[] }>('GET', '/api/admin/tenants?limit=1', { as: who })
      signIn(who)
    } catch (problem) {
      if (!(problem instanceof ApiError)) throw problem
      // A key without the scope inbox:read is valid too.
      if (problem.status === 403) signIn(who)
      else setError(wrong(problem, kind))
    }
  }

  return (
    <main class="sign-in" aria-label="Sign in">
      <h1><Mark />Triggers</h1>
      {goodbye.value !== '' && <p class="notice" role="alert">{goodbye.value}</p>}
      {erasure.value !== null && <Receipt />}
      <form class="card" onSubmit={(event) => { event.preventDefault(); void submit() }}>
        <h2>Sign in</h2>
        <fieldset class="choices">
          <legend>With</legend>
          <label><input type="radio" name="kind" checked={kind === 'key'} onChange={() => setKind('key')} /> an API key</label>
          <label><input type="radio" name="kind" checked={kind === 'admin'} onChange={() => setKind('admin')} /> the admin token</label>
        </fieldset>
        <Field label={kind === 'key' ? 'API key' : 'Admin token'} hint="It stays in this tab, and is forgotten when the tab is closed.">
          {(attributes) => (
            <input {...attributes} type="password" required autocomplete="off" spellcheck={false} value={value}
              onInput={(event) => setValue(event.currentTarget.value)} />
          )}
        </Field>
        <Problem error={error} />
        <div class="actions"><Button kind="primary" type="submit">Sign in</Button></div>
      </form>
      <NewTenant />
      <p><a href="./docs">API reference</a></p>
    </main>
  )
}

/** A 401 of the sign-in is shown here, and ends no session. */
function wrong(problem: ApiError, kind: Credential['kind']): ApiError {
  if (problem.status !== 401) return problem
  const detail = kind === 'key'
    ? 'This API key is not valid. It may be mistyped, revoked or expired.'
    : 'This admin token is not valid.'
  return new ApiError(422, detail, problem.slug, [], 0, problem.requestId)
}

function NewTenant() {
  const [name, setName] = useState('')
  const [token, setToken] = useState('')
  const [error, setError] = useState<ApiError>()
  const [key, setKey] = useState<string>()

  const submit = async () => {
    setError(undefined)
    try {
      const created = await call<{ api_key: string }>('POST', '/api/keys/generate', {
        body: { organization_name: name }, as: { kind: 'admin', value: token.trim() },
      })
      setKey(created.api_key)
    } catch (problem) {
      if (!(problem instanceof ApiError)) throw problem
      setError(problem.status === 401 ? new ApiError(422, problem.message, problem.slug, [], 0, problem.requestId) : problem)
    }
  }
  const enter = () => {
    if (key === undefined) return
    signIn({ kind: 'key', value: key })
    if (credential.value) announce('Signed in.')
  }

  return (
    <details class="card">
      <summary>Create a tenant</summary>
      <form onSubmit={(event) => { event.preventDefault(); void submit() }}>
        <Field label="Name">
          {(attributes) => <input {...attributes} required maxLength={255} value={name} onInput={(event) => setName(event.currentTarget.value)} />}
        </Field>
        <Field label="Admin token" hint="Needed unless the signup is open.">
          {(attributes) => (
            <input {...attributes} type="password" autocomplete="off" value={token} onInput={(event) => setToken(event.currentTarget.value)} />
          )}
        </Field>
        <Problem error={error} />
        <div class="actions"><Button kind="primary" type="submit">Create</Button></div>
      </form>
      <p>Or in a terminal:</p>
      <Code label="the command" text={`curl '${base}/api/keys/generate' \\\n  -H 'X-Admin-Token: ADMIN_TOKEN' \\\n  -H 'Content-Type: application/json' \\\n  --data '{"organization_name":"Example Ltd"}'`} />
      {key !== undefined && <Secret title="The API key" value={key} onClose={enter} />}
    </details>
  )
}
