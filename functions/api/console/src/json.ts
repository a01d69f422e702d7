// JSON texts as they were accepted. JSON.parse would change them: 1.0 becomes 1, and large numbers lose digits.

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"]+/gs

/** Returns a valid JSON text with line breaks and indentation. Every value stays as it is written. */
export function pretty(text: string): string {
  const parts: string[] = []
  let depth = 0
  let before = ''
  const line = () => parts.push('\n', '  '.repeat(depth))
  for (const [token] of text.matchAll(TOKEN)) {
    const opens = token === '{' || token === '['
    const closes = token === '}' || token === ']'
    if (closes) {
      depth -= 1
      if (before !== '{' && before !== '[') line()
    } else if (before === ',' || before === '{' || before === '[') {
      line()
    }
    parts.push(token === ':' ? ': ' : token)
    if (opens) depth += 1
    before = token
  }
  return parts.join('')
}

/** Returns the text of a member of the outermost object, or null. */
export function member(text: string, name: string): string | null {
  let depth = 0
  let key = ''
  let start = -1
  let before = ''
  for (const match of text.matchAll(TOKEN)) {
    const [token] = match
    if (depth === 1 && start >= 0 && (token === ',' || token === '}')) {
      return text.slice(start, match.index).trim()
    }
    if (depth === 1 && token === ':' && before.startsWith('"')) {
      key = JSON.parse(before) as string
      if (key === name) start = match.index + 1
    }
    if (token === '{' || token === '[') depth += 1
    if (token === '}' || token === ']') depth -= 1
    before = token
  }
  return null
}

/** Returns what is wrong with a JSON text, or an empty text. */
export function fault(text: string): string {
  try {
    JSON.parse(text)
    return ''
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
