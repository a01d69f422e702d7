// What this page uses of Swagger UI, which has no types of its own.

declare module 'swagger-ui-dist/swagger-ui-es-bundle.js' {
  /** A component, which is a function here. */
  export type Component<P> = (props: P) => unknown

  /** The part of React that Swagger UI hands to its plugins. */
  export interface React {
    createElement(type: unknown, props: object | null, ...children: unknown[]): unknown
    Fragment: unknown
    useId(): string
    useState<T>(first: T): [T, (next: T) => void]
    useSyncExternalStore<T>(subscribe: (changed: () => void) => () => void, read: () => T): T
  }

  export interface System { React: React }

  export type Plugin = (system: System) => {
    components?: Record<string, Component<never>>
    wrapComponents: Record<string, (original: unknown, system: System) => Component<never>>
  }

  export interface Options {
    domNode: Element
    spec: object
    plugins: Plugin[]
    onComplete: () => void
    [option: string]: unknown
  }

  export interface Ui { preauthorizeApiKey(name: string, value: string): void }

  export default function SwaggerUI(options: Options): Ui
}
