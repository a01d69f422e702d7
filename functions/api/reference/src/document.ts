// The parts of the OpenAPI document that the examples are made of.

export interface Schema { $ref?: string; examples?: unknown[]; anyOf?: Schema[]; enum?: unknown[] }

export interface Parameter { name: string; in: string; required?: boolean; schema: Schema }

export interface Operation {
  security?: Record<string, string[]>[]
  parameters?: (Parameter | { $ref: string })[]
  requestBody?: { content: Record<string, { example?: unknown }> }
}

export interface OpenApi {
  info: object
  servers: { url: string; description?: string }[]
  paths: Record<string, Record<string, Operation>>
  components: { securitySchemes: Record<string, { type: string; in?: string; name?: string }> }
}

/** Returns what a value refers to, or the value itself. */
export function resolve<T extends object>(openapi: OpenApi, value: T | { $ref: string }): T {
  let found: unknown = value
  while (found && typeof found === 'object' && '$ref' in found) {
    const steps = String(found.$ref).split('/').slice(1)
    found = steps.reduce<unknown>((part, step) => (part as Record<string, unknown>)?.[step], openapi)
  }
  return found as T
}
