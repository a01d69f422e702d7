// The API key: the one of the console in this tab, or the one that the reader enters. Swagger UI keeps it in memory only.

import type { Plugin, Ui } from 'swagger-ui-dist/swagger-ui-es-bundle.js'

/** Where the console keeps what it signed in with, until its tab ends. */
const PLACE = 'triggers.credential'

/** Takes over what the console signed in with. */
export function takeOver(ui: Ui) {
  const found = sessionStorage.getItem(PLACE)
  if (found === null) return
  const { kind, value } = JSON.parse(found) as { kind?: string; value?: string }
  if (value) ui.preauthorizeApiKey(kind === 'admin' ? 'adminToken' : 'apiKey', value)
}

interface Headers { map(change: (value: string, name: string) => string): Headers }
interface Props { request: { update(name: 'headers', change: (headers: Headers) => Headers): unknown } }

const SECRET = /^(x-api-key|x-admin-token|authorization)$/i

/** Makes the plugin that hides the key in the command that shows the request that was sent. */
export const hiddenKey: Plugin = ({ React }) => ({
  wrapComponents: {
    curl: (Original) => (props: Props) => React.createElement(Original, {
      ...props,
      request: props.request.update('headers', (headers) => headers?.map((value, name) => (SECRET.test(name) ? '***' : value))),
    }),
  },
})
