// /admin/catalog/models/:model/card: all that the catalog knows of a model, as something to read.

import { Type } from 'typebox'
import type { TSchema } from 'typebox'

import { writeCard } from '../catalog/card.ts'
import { collectCard } from '../catalog/card-data.ts'
import { cardPage } from '../catalog/card-page.ts'
import { ModelParam } from '../dialects/admin/catalog-fields.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { requireRole } from '../plugins/roles.ts'
import type { FastifyReply } from 'fastify'
import type { CardDeps } from '../catalog/card-data.ts'
import type { App } from '../request.ts'

const params = Type.Object({ model: ModelParam })
const querystring = Type.Object(
  {
    version: Type.Optional(
      Type.String({
        pattern: '^[1-9]\\d{0,8}$',
        title: 'the number of a version',
        description: 'Without it the live one, else the newest that is ready.',
      }),
    ),
  },
  { additionalProperties: false },
)

const MARKDOWN = 'text/markdown'
const HTML = 'text/html'
const FORMS = [
  {
    path: '',
    id: 'Card',
    types: [MARKDOWN, HTML],
    summary: 'Give the model card, as it is asked for',
  },
  {
    path: '.md',
    id: 'CardMarkdown',
    types: [MARKDOWN],
    summary: 'Give the model card as Markdown',
  },
  { path: '.html', id: 'CardPage', types: [HTML], summary: 'Give the model card as a page' },
]

export function adminCatalogCardRoutes(app: App, deps: CardDeps & { now: () => number }) {
  for (const { path, id, types, summary } of FORMS) {
    app.get(
      `/admin/catalog/models/:model/card${path}`,
      {
        onRequest: requireRole('developer'),
        schema: {
          operationId: `retrieveCatalog${id}`,
          summary,
          tags: ['catalog'],
          security: [{ key: [] }],
          params,
          querystring,
          response: {
            200: { description: 'The card.', content: textOf(types) },
            default: ErrorBody,
          },
        },
      },
      async (request, reply) => {
        const { model } = request.params
        const { version } = request.query
        const number = version === undefined ? undefined : Number(version)
        const card = writeCard(await collectCard(deps, model, number, new Date(deps.now())))
        const asked = request.headers.accept ?? ''
        const isPage = types.length === 1 ? types[0] === HTML : prefersHtml(asked)
        if (path === '') reply.header('vary', 'accept')
        reply.header('x-content-type-options', 'nosniff')
        return isPage
          ? sendPage(reply, model, card)
          : reply.type(`${MARKDOWN}; charset=utf-8`).send(card)
      },
    )
  }
}

function sendPage(reply: FastifyReply, model: string, card: string) {
  const { html, policy } = cardPage(`${model}: model card`, card)
  return reply
    .type(`${HTML}; charset=utf-8`)
    .headers({ 'content-security-policy': policy, 'referrer-policy': 'no-referrer' })
    .send(html)
}

/** Browsers name it first; whoever names Markdown, or nothing, gets Markdown. */
function prefersHtml(accept: string): boolean {
  const types = accept.split(',').map((type) => type.split(';')[0]!.trim())
  const html = types.indexOf(HTML)
  const markdown = types.indexOf(MARKDOWN)
  return html >= 0 && (markdown < 0 || html < markdown)
}

function textOf(types: readonly string[]): Record<string, { schema: TSchema }> {
  return Object.fromEntries(types.map((type) => [type, { schema: Type.String() }]))
}
