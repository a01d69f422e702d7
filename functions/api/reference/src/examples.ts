// The examples of an operation: a tab for each language, between its parameters and its responses.

import type { Plugin, React } from 'swagger-ui-dist/swagger-ui-es-bundle.js'
import type { OpenApi } from './document'
import { LANGUAGES } from './languages'
import { requestOf } from './request'

const NAMES = Object.keys(LANGUAGES)

/** The language that the reader has chosen, for all operations of the page. */
const chosen = {
  name: NAMES[0]!,
  readers: new Set<() => void>(),
  subscribe: (reader: () => void) => {
    chosen.readers.add(reader)
    return () => chosen.readers.delete(reader)
  },
  read: () => chosen.name,
  choose: (name: string) => {
    chosen.name = name
    for (const reader of chosen.readers) reader()
  },
}

interface Props { path: string; method: string }

/** Makes the plugin that shows the examples. */
export function examples(openapi: OpenApi, base: string): Plugin {
  return ({ React }) => {
    const Examples = ({ path, method }: Props) => show(React, requestOf(openapi, base, path, method))
    return {
      wrapComponents: {
        responses: (Original) => (props: Props) => React.createElement(
          React.Fragment, null,
          React.createElement(Examples, { path: props.path, method: props.method }),
          React.createElement(Original, props),
        ),
      },
    }
  }
}

function show(React: React, request: ReturnType<typeof requestOf>) {
  const h = React.createElement
  const id = React.useId()
  const name = React.useSyncExternalStore(chosen.subscribe, chosen.read)
  const [isCopied, setCopied] = React.useState(false)
  const text = LANGUAGES[name]?.(request) ?? ''
  const copy = async () => {
    await navigator.clipboard.writeText(text)
    setCopied(true)
    setTimeout(() => setCopied(false), 2000)
  }
  const tab = (one: string) => h('button', {
    key: one, type: 'button', role: 'tab', id: `${id}${one}`, 'aria-selected': one === name, 'aria-controls': `${id}panel`,
    tabIndex: one === name ? 0 : -1, onClick: () => chosen.choose(one),
  }, one)
  return h('div', { className: 'examples', role: 'group', 'aria-label': 'Examples' },
    h('div', { className: 'examples-bar' },
      h('div', { role: 'tablist', 'aria-label': 'Language', onKeyDown: move }, NAMES.map(tab)),
      h('button', { type: 'button', className: 'copy', onClick: () => void copy() }, isCopied ? 'Copied' : 'Copy')),
    h('pre', { role: 'tabpanel', id: `${id}panel`, 'aria-labelledby': `${id}${name}`, tabIndex: 0 }, text))
}

/** Moves to another tab by the arrow keys, Home and End. */
function move(event: KeyboardEvent) {
  const steps: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1, Home: -NAMES.indexOf(chosen.name), End: -1 - NAMES.indexOf(chosen.name) }
  const step = steps[event.key]
  if (step === undefined) return
  event.preventDefault()
  const next = (NAMES.indexOf(chosen.name) + step + NAMES.length) % NAMES.length
  chosen.choose(NAMES[next]!)
  const tabs = (event.currentTarget as Element).querySelectorAll<HTMLElement>('[role=tab]')
  tabs[next]?.focus()
}
