// The OpenAPI document: as JSON at /openapi.json, to be read and tried at /docs.
//
// The page's assets come from this server, and its policy lets it load nothing else: it works where nothing outside can
// be reached, and whatever gets into it has nowhere to send a key that was typed there.

import { STATUS_CODES } from 'node:http'

import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'

import { codesByStatus } from '../errors.ts'
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

const ERRORS = `Errors have OpenAI's body, and Anthropic's under \`/v1/messages\`. Their codes are never renamed and never used again:

| status | codes |
| ------ | ----- |
${codesByStatus()
  .map(([status, codes]) => `| ${status} | ${codes.map((code) => `\`${code}\``).join(', ')} |`)
  .join('\n')}

503 and 429 have \`retry-after\`. Every answer has \`x-request-id\`, under which the exchange log and the server's log know it.`

/** What the generator writes where a route says nothing. */
const UNSAID = 'Default Response'

interface Described {
  paths?: Record<string, object | undefined>
}

/** Routes say what is special about an answer; the rest is the same for all of them. */
function describeAnswers<Document extends Described>(document: Document): Document {
  for (const operations of Object.values(document.paths ?? {})) {
    for (const operation of Object.values(operations ?? {})) {
      const { responses = {} } = operation as {
        responses?: Record<string, { description: string }>
      }
      for (const [status, response] of Object.entries(responses)) {
        if (response.description === UNSAID) response.description = STATUS_CODES[status] ?? status
      }
    }
  }
  return document
}

/** Before the first route that it is to describe. */
export async function documentRoutes(app: App, release: string) {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Headrace', version: release, description: ERRORS },
      components: {
        securitySchemes: {
          key: { type: 'http', scheme: 'bearer' },
          feedbackToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
        },
      },
      // Without it the page would not send the key that was typed there. What is open to everybody says so itself.
      security: [{ key: [] }],
    },
    transformObject: (documented) =>
      'openapiObject' in documented
        ? describeAnswers(documented.openapiObject)
        : documented.swaggerObject,
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
