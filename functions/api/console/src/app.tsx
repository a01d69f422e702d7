// The frame of every view: navigation, theme, announcements, and which view the URL names.

import type { ComponentType } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { credential, signOut } from './session'
import { route } from './route'
import { theme, toggleTheme } from './theme'
import { Announcements, Button } from './ui'
import { Mark } from './mark'
import { SignIn } from './views/sign-in'
import { Overview } from './views/overview'
import { Events } from './views/events'
import { EventView } from './views/event'
import { Send } from './views/send'
import { Endpoints } from './views/endpoints'
import { EndpointView } from './views/endpoint'
import { Inbox } from './views/inbox'
import { Replays } from './views/replays'
import { Keys } from './views/keys'
import { TenantView } from './views/tenant'
import { Operator } from './views/operator'

interface View {
  path: string
  name: string
  view: ComponentType
  /** The view of one thing, whose id is the second segment. */
  one?: ComponentType<{ id: string }>
}

const TENANT_VIEWS: View[] = [
  { path: '', name: 'Overview', view: Overview },
  { path: 'events', name: 'Events', view: Events, one: EventView },
  { path: 'send', name: 'Send', view: Send },
  { path: 'endpoints', name: 'Endpoints', view: Endpoints, one: EndpointView },
  { path: 'inbox', name: 'Inbox', view: Inbox },
  { path: 'replays', name: 'Replays', view: Replays },
  { path: 'keys', name: 'Keys', view: Keys },
  { path: 'tenant', name: 'Tenant', view: TenantView },
]
const OPERATOR_VIEWS: View[] = [{ path: '', name: 'Tenants', view: Operator }]

export function App() {
  const who = credential.value
  if (who === null) return <><SignIn /><Announcements /></>
  const views = who.kind === 'admin' ? OPERATOR_VIEWS : TENANT_VIEWS
  const [path = '', id] = route.value.path
  const current = views.find((view) => view.path === path) ?? views[0]
  return (
    <div class="frame">
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById('main')?.focus() }}>
        Skip to the content
      </a>
      <Side views={views} current={current} />
      <Main key={`${path}/${id ?? ''}`} current={current} id={id} />
      <Announcements />
    </div>
  )
}

function Side({ views, current }: { views: View[]; current: View | undefined }) {
  const nav = useRef<HTMLElement>(null)
  useEffect(() => {
    // On a narrow screen the links scroll sideways. scrollIntoView would take the start of the tab order along.
    const links = nav.current
    const link = links?.querySelector('[aria-current]')?.getBoundingClientRect()
    if (!links || !link) return
    const frame = links.getBoundingClientRect()
    links.scrollLeft += link.left + link.width / 2 - (frame.left + frame.width / 2)
  }, [current])
  return (
    <header class="side">
      <a class="brand" href="#/"><Mark />Triggers</a>
      <nav aria-label="Views" ref={nav}>
        {views.map((view) => (
          <a href={`#/${view.path}`} aria-current={view === current ? 'page' : undefined}>{view.name}</a>
        ))}
        <a href="./docs">API reference</a>
      </nav>
      <div class="side-end">
        <Button kind="plain" onClick={toggleTheme} label={`Use the ${theme.value === 'dark' ? 'light' : 'dark'} theme`}>
          {theme.value === 'dark' ? 'Light' : 'Dark'}
        </Button>
        <Button kind="plain" onClick={() => signOut()}>Sign out</Button>
      </div>
    </header>
  )
}

/** Whether a view gets the focus: not the first one of a page that was loaded with a session. */
let takesFocus = credential.value === null

/** Shows a view, and moves the focus to it when the reader comes from another one. */
function Main({ current, id }: { current: View | undefined; id: string | undefined }) {
  const main = useRef<HTMLElement>(null)
  const name = current?.name ?? 'Triggers'
  useEffect(() => {
    document.title = `${name} · Triggers`
    if (takesFocus) {
      main.current?.focus({ preventScroll: true })
      scrollTo(0, 0)
    }
    takesFocus = true
  }, [name])
  const Shown = current?.view
  return (
    <main id="main" ref={main} tabindex={-1} aria-label={name}>
      {id !== undefined && current?.one ? <current.one id={id} /> : Shown && <Shown />}
    </main>
  )
}
