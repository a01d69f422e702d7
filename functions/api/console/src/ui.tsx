// The parts that every view uses.

import type { ComponentChildren } from 'preact'
import { useId, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { signal } from '@preact/signals'
import { ApiError } from './api'
import { distance, moment } from './format'

export type Tone = 'good' | 'busy' | 'warn' | 'bad' | 'idle'

/** A word with a colour. The word says all; the colour only repeats it. */
export function Badge({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  return <span class={`badge ${tone}`}>{children}</span>
}

const STATUS: Record<string, Tone> = {
  delivered: 'good', acked: 'good', done: 'good', active: 'good', Healthy: 'good',
  delivering: 'busy', open: 'busy', running: 'busy', cancelling: 'warn',
  pending: 'idle', unmatched: 'idle', cancelled: 'idle', New: 'idle',
  quarantined: 'warn', retry: 'warn', put_off: 'warn', paused: 'warn', Paused: 'warn', Unsteady: 'warn', Slowed: 'warn',
  failed: 'bad', give_up: 'bad', disable_endpoint: 'bad', disabled: 'bad', Disabled: 'bad', Failing: 'bad',
}

export function Status({ value }: { value: string }) {
  return <Badge tone={STATUS[value] ?? 'idle'}>{value.replaceAll('_', ' ')}</Badge>
}

export function Time({ at, relative = false }: { at: string | null; relative?: boolean }) {
  if (at === null) return <span class="quiet">never</span>
  return <time datetime={at} title={at}>{relative ? distance(at) : moment(at)}</time>
}

/** The last message for the reader, spoken by screen readers. */
const announcement = signal<{ text: string; bad: boolean } | null>(null)
let fading = 0

export function announce(text: string, bad = false) {
  clearTimeout(fading)
  announcement.value = { text, bad }
  fading = window.setTimeout(() => (announcement.value = null), bad ? 12_000 : 5000)
}

/** The place of announcements. A dialog has its own, because a modal one makes all else silent. */
export function Announcements() {
  const message = announcement.value
  return (
    <div class="announcements" aria-live="polite">
      {message && <p class={message.bad ? 'bad' : ''}>{message.text}</p>}
    </div>
  )
}

/** Runs an action of the reader. An error is announced with its detail. Returns whether it succeeded. */
export async function attempt(action: () => Promise<unknown>, done?: string): Promise<boolean> {
  try {
    await action()
    if (done) announce(done)
    return true
  } catch (error) {
    announce(error instanceof Error ? error.message : String(error), true)
    return false
  }
}

export function Problem({ error }: { error: ApiError | undefined }) {
  if (!error || error.status === 401) return null
  const wait = error.retryAfter > 0 ? ` The next try follows in ${error.retryAfter} s.` : ''
  return (
    <div class="problem" role="alert">
      <p>{error.message}{wait}</p>
      {error.members.length > 1 && (
        <ul>{error.members.map((item) => <li><code>{item.pointer ?? item.parameter ?? ''}</code> {item.detail}</li>)}</ul>
      )}
      {error.requestId !== '' && <p class="quiet">Request <code>{error.requestId}</code></p>}
    </div>
  )
}

export function Loading({ what }: { what: string }) {
  return <p class="loading" role="status">Loading {what} …</p>
}

export function Empty({ title, children }: { title: string; children: ComponentChildren }) {
  return <div class="empty"><p class="empty-title">{title}</p>{children}</div>
}

interface ButtonProps {
  children: ComponentChildren
  kind?: 'primary' | 'danger' | 'plain'
  type?: 'button' | 'submit'
  disabled?: boolean | undefined
  label?: string
  /** A promise keeps the button busy, so that a second click does nothing. */
  onClick?: () => unknown
}

export function Button({ children, kind, type = 'button', disabled, label, onClick }: ButtonProps) {
  const [busy, setBusy] = useState(false)
  const click = async () => {
    if (busy || !onClick) return
    setBusy(true)
    try {
      await onClick()
    } finally {
      setBusy(false)
    }
  }
  return (
    <button type={type} class={kind} disabled={disabled} aria-busy={busy} aria-label={label} onClick={onClick && click}>
      {children}
    </button>
  )
}

interface FieldProps {
  label: string
  hint?: ComponentChildren
  children: (attributes: { id: string; 'aria-describedby'?: string }) => ComponentChildren
}

export function Field({ label, hint, children }: FieldProps) {
  const id = useId()
  const described = hint ? { 'aria-describedby': `${id}-hint` } : {}
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, ...described })}
      {hint && <p class="hint" id={`${id}-hint`}>{hint}</p>}
    </div>
  )
}

/** A modal dialog: the browser keeps the focus inside and gives it back afterwards. */
export function Dialog({ title, onClose, children }: { title: string; onClose: () => void; children: ComponentChildren }) {
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  useLayoutEffect(() => {
    const [before, shown] = [document.activeElement, dialog.current]
    shown?.showModal()
    shown?.querySelector<HTMLElement>('input, select, textarea, .actions button')?.focus()
    return () => {
      shown?.close() // while it is open, nothing else can have the focus
      if (before instanceof HTMLElement) before.focus()
    }
  }, [])
  return (
    <dialog ref={dialog} aria-labelledby={id} onCancel={(event) => { event.preventDefault(); onClose() }}>
      <header><h2 id={id}>{title}</h2><Button kind="plain" label="Close" onClick={onClose}>✕</Button></header>
      {children}
      <Announcements />
    </dialog>
  )
}

export function Confirm({ title, action, children, onConfirm, onClose }: {
  title: string; action: string; children: ComponentChildren; onConfirm: () => unknown; onClose: () => void
}) {
  return (
    <Dialog title={title} onClose={onClose}>
      {children}
      <div class="actions">
        <Button onClick={onClose}>Cancel</Button>
        <Button kind="danger" onClick={onConfirm}>{action}</Button>
      </div>
    </Dialog>
  )
}

export function Copy({ text, label = 'Copy' }: { text: string; label?: string }) {
  const [copied, setCopied] = useState(false)
  const copy = async () => {
    const done = await navigator.clipboard.writeText(text).then(() => true, () => false)
    setCopied(done)
    announce(done ? 'Copied.' : 'The browser does not allow copying here. Select the text instead.', !done)
    if (done) setTimeout(() => setCopied(false), 2000)
  }
  return <Button onClick={copy} label={label}>{copied ? 'Copied' : 'Copy'}</Button>
}

/** A secret that is shown once. */
export function Secret({ title, value, onClose }: { title: string; value: string; onClose: () => void }) {
  return (
    <Dialog title={title} onClose={onClose}>
      <p>Store it now: it is shown only this once.</p>
      <div class="secret"><code>{value}</code><Copy text={value} label={`Copy ${title}`} /></div>
      <div class="actions"><Button kind="primary" onClick={onClose}>I have stored it</Button></div>
    </Dialog>
  )
}

/** The way through a list by cursors. `cursors` has those of the pages so far, the empty one of the first page included. */
export function Pages({ label = 'Pages', cursors, next, back = 'Newer', on = 'Older', onChange }: {
  label?: string; cursors: string[]; next: string | null; back?: string; on?: string; onChange: (cursors: string[]) => void
}) {
  if (next === null && cursors.length === 1) return null
  return (
    <nav class="pages" aria-label={label}>
      <Button disabled={cursors.length === 1} onClick={() => onChange(cursors.slice(0, -1))}>{back}</Button>
      <span class="quiet">Page {cursors.length}</span>
      <Button disabled={next === null} onClick={() => onChange([...cursors, next ?? ''])}>{on}</Button>
    </nav>
  )
}

/** A text as it is, in its own box that scrolls. */
export function Code({ text, label, wrap = false }: { text: string; label: string; wrap?: boolean }) {
  return (
    <div class="code">
      <Copy text={text} label={`Copy ${label}`} />
      <pre tabindex={0} role="region" aria-label={label} class={wrap ? 'wrap' : ''}>{text}</pre>
    </div>
  )
}

export function Meter({ label, value, max, note }: { label: string; value: number; max: number; note?: ComponentChildren }) {
  const share = max > 0 ? value / max : 0
  const level = share >= 0.95 ? 'bad' : share >= 0.8 ? 'warn' : ''
  return (
    <div class="meter">
      <div class="meter-text"><span>{label}</span><span>{note}</span></div>
      <progress class={level} aria-label={label} value={Math.min(value, max)} max={Math.max(max, 1)} />
    </div>
  )
}
