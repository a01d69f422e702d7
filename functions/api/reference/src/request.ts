// One request of an operation, as the document gives it by example.

import { type OpenApi, type Operation, type Parameter, type Schema, resolve } from './document'

/** A header whose value is a secret. It is read from a variable of the environment. */
export interface Secret { header: string; variable: string }

export interface Request {
  method: string
  url: string
  secret: Secret | null
  /** The media type of the body and its value. */
  body: { type: string; value: unknown } | null
}

/** Makes the request: the required parameters, the first way to authenticate, the example of the body. */
export function requestOf(openapi: OpenApi, base: string, path: string, method: string): Request {
  const operation: Operation = openapi.paths[path]?.[method] ?? {}
  const needed = (operation.parameters ?? []).map((one) => resolve<Parameter>(openapi, one)).filter((one) => one.required)
  let place = path
  const query = new URLSearchParams()
  for (const { name, in: where, schema } of needed) {
    const value = String(exampleOf(openapi, schema))
    if (where === 'path') place = place.replace(`{${name}}`, encodeURIComponent(value))
    if (where === 'query') query.set(name, value)
  }
  const url = base + place + (query.size > 0 ? `?${query}` : '')
  const [body] = Object.entries(operation.requestBody?.content ?? {})
  return {
    method: method.toUpperCase(),
    url,
    secret: secretOf(openapi, operation),
    body: body ? { type: body[0], value: body[1].example } : null,
  }
}

function exampleOf(openapi: OpenApi, schema: Schema): unknown {
  const own = schema.examples?.[0]
  if (own !== undefined) return own
  return schema.$ref ? exampleOf(openapi, resolve<Schema>(openapi, { $ref: schema.$ref })) : undefined
}

function secretOf(openapi: OpenApi, operation: Operation): Secret | null {
  const [name] = Object.keys(operation.security?.[0] ?? {})
  const scheme = name === undefined ? undefined : openapi.components.securitySchemes[name]
  if (scheme?.type !== 'apiKey' || scheme.in !== 'header' || !scheme.name) return null
  return { header: scheme.name, variable: name === 'adminToken' ? 'ADMIN_TOKEN' : 'KEY' }
}
