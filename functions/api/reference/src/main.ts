// The reference: the served OpenAPI document, shown by Swagger UI.

import SwaggerUI from 'swagger-ui-dist/swagger-ui-es-bundle.js'
import 'swagger-ui-dist/swagger-ui.css'
import '../../console/src/style/colours.css'
import './style.css'
import { hiddenKey, takeOver } from './credential'
import type { OpenApi } from './document'
import { examples } from './examples'
import { layout } from './layout'
import { watch } from './names'
import { startTheme } from './theme'

/** The URL of the API: this page's without its last segment, so that it works below any stage. */
const base = new URL('.', location.href).href.replace(/\/$/, '')
const content = document.getElementById('content')!

startTheme(document.getElementById('theme')!)
watch(content)
document.querySelector('.skip')?.addEventListener('click', (event) => {
  // The fragment of the URL names an operation, so that it cannot name this.
  event.preventDefault()
  content.focus()
})
void start()

async function start() {
  try {
    const answer = await fetch(`${base}/openapi.json`)
    if (!answer.ok) throw new Error(`the server answers ${answer.status}`)
    show(await answer.json() as OpenApi)
  } catch (error) {
    content.innerHTML = ''
    const text = Object.assign(document.createElement('p'), { className: 'wait', textContent: `openapi.json cannot be shown: ${String(error)}` })
    text.setAttribute('role', 'alert')
    content.append(text)
  }
}

function show(openapi: OpenApi) {
  // The page may call its own origin only, and this is where its document comes from.
  const spec = { ...openapi, info: { ...openapi.info, license: undefined }, servers: [{ url: base, description: 'the server of this page' }] }
  const ui = SwaggerUI({
    domNode: content,
    spec,
    plugins: [layout, examples(openapi, base), hiddenKey],
    layout: 'ReferenceLayout',
    deepLinking: true,
    docExpansion: 'list',
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    persistAuthorization: false,
    validatorUrl: null,
    onComplete: () => takeOver(ui),
  })
}
