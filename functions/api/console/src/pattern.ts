// Which types a pattern matches, as shared/domain/src/endpoint/pattern.rs decides.

const NOTICES = ['endpoint.failing', 'endpoint.disabled', 'endpoint.recovered', 'inbox.expiring', 'inbox.filling', 'inbox.quarantined']

/** Returns whether a pattern matches a type: `*` is zero or more characters. A notice needs a pattern that names it. */
export function matches(pattern: string, type: string): boolean {
  const isNotice = NOTICES.includes(type)
  if (isNotice && !pattern.startsWith('endpoint.') && !pattern.startsWith('inbox.')) return false
  const [first = '', ...rest] = pattern.split('*')
  if (rest.length === 0) return pattern === type
  if (!type.startsWith(first)) return false
  const last = rest.pop() ?? ''
  let at = first.length
  for (const part of rest) {
    const found = type.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return type.length - last.length >= at && type.endsWith(last)
}
