// A request in three languages. Each example runs as it is, without a package: only the variable with the key must be set.

import type { Request } from './request'

const BY_DEFAULT = 'GET'

/** The languages by their names on the tabs. */
export const LANGUAGES: Record<string, (request: Request) => string> = { curl, Python: python, JavaScript: javascript }

function curl({ method, url, secret, body }: Request): string {
  const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`
  const lines = [`curl ${method === BY_DEFAULT || (method === 'POST' && body) ? '' : `-X ${method} `}${quote(url)}`]
  if (secret) lines.push(`-H "${secret.header}: $${secret.variable}"`)
  if (body) lines.push(`-H ${quote(`Content-Type: ${body.type}`)}`, `-d ${quote(JSON.stringify(body.value))}`)
  return lines.join(' \\\n  ')
}

function python({ method, url, secret, body }: Request): string {
  const imports = [body && 'import json', secret && 'import os', 'import urllib.request'].filter(Boolean)
  const headers = [
    secret && `"${secret.header}": os.environ["${secret.variable}"]`,
    body && `"Content-Type": "${body.type}"`,
  ].filter(Boolean)
  const members = [
    JSON.stringify(url),
    method !== BY_DEFAULT && `method="${method}"`,
    headers.length > 0 && `headers={${headers.join(', ')}}`,
    body && `data=json.dumps(${literal(body.value, 'Python', '    ')}).encode()`,
  ].filter(Boolean)
  return `${imports.join('\n')}

request = urllib.request.Request(
    ${members.join(',\n    ')},
)
with urllib.request.urlopen(request) as response:
    print(response.status, response.read().decode())`
}

function javascript({ method, url, secret, body }: Request): string {
  const headers = [
    secret && `'${secret.header}': process.env.${secret.variable}`,
    body && `'Content-Type': '${body.type}'`,
  ].filter(Boolean)
  const members = [
    method !== BY_DEFAULT && `  method: '${method}',\n`,
    headers.length > 0 && `  headers: { ${headers.join(', ')} },\n`,
    body && `  body: JSON.stringify(${literal(body.value, 'JavaScript', '  ')}),\n`,
  ].filter(Boolean)
  const options = members.length > 0 ? `, {\n${members.join('')}}` : ''
  return `const response = await fetch(${JSON.stringify(url)}${options})
console.log(response.status, await response.text())`
}

/** Writes a JSON value in the words of a language. Members of the outermost object have a line each. */
function literal(value: unknown, language: 'Python' | 'JavaScript', indent: string): string {
  const words = language === 'Python' ? { true: 'True', false: 'False', null: 'None' } : { true: 'true', false: 'false', null: 'null' }
  const write = (one: unknown): string => {
    if (one === null || typeof one === 'boolean') return words[String(one) as 'true' | 'false' | 'null']
    if (Array.isArray(one)) return `[${one.map(write).join(', ')}]`
    if (typeof one === 'object') return `{${Object.entries(one).map(member).join(', ')}}`
    return JSON.stringify(one)
  }
  const member = ([name, one]: [string, unknown]) => `${JSON.stringify(name)}: ${write(one)}`
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return write(value)
  const lines = Object.entries(value).map((one) => `${indent}    ${member(one)},\n`)
  return `{\n${lines.join('')}${indent}}`
}
