// The order of the page: the description, the key, the operations, the schemas. The layout of Swagger UI also has a list of
// servers. This page has one server.

import type { Plugin } from 'swagger-ui-dist/swagger-ui-es-bundle.js'

interface Props { getComponent: (name: string, isConnected?: boolean) => unknown }

export const layout: Plugin = ({ React }) => ({
  components: {
    ReferenceLayout: ({ getComponent }: Props) => {
      const h = React.createElement
      const connected = (name: string) => h(getComponent(name, true), null)
      return h('div', { className: 'swagger-ui' },
        h(getComponent('SvgAssets'), null),
        connected('errors'),
        h('div', { className: 'wrapper' }, connected('InfoContainer')),
        h('div', { className: 'wrapper key' },
          h('p', null, 'To try an operation, enter an API key. The page forgets it when it is closed or loaded again.'),
          connected('AuthorizeBtnContainer')),
        h('section', { className: 'wrapper', id: 'operations', 'aria-labelledby': 'operations-title' },
          h('h2', { id: 'operations-title', className: 'unseen' }, 'Operations'),
          connected('operations')),
        h('div', { className: 'wrapper' }, connected('Models')))
    },
  },
  wrapComponents: {
    // Swagger UI puts a link into a button, which is not allowed. The button changes the URL too.
    DeepLink: () => ({ text }: { text: unknown }) => React.createElement('span', null, text),
  },
})
