// The OpenAPI document: as JSON at /openapi.json, to be read and tried at /docs.
//
// The page's assets come from this server, and its policy lets it load nothing else: it works where nothing outside can
// be reached, and whatever gets into it has nowhere to send a key that was typed there.

import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'

import type { App } from '../request.ts'

// React and the viewer set styles of elements by attribute; scripts are files, all of them.
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Before the first route that it is to describe. */
export async function documentRoutes(app: App, release: string) {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Headrace', version: release },
      components: {
        securitySchemes: {
          key: { type: 'http', scheme: 'bearer' },
          feedbackToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
        },
      },
      // Without it the page would not send the key that was typed there. What is open to everybody says so itself.
      security: [{ key: [] }],
    },
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: POLICY,
    theme: { title: 'Headrace' },
    // null: nobody outside is asked whether the document is valid
    uiConfig: { validatorUrl: null, tryItOutEnabled: true, persistAuthorization: false },
  })
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())
}
