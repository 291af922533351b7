// What the admin API is sent as one upstream or model, refused with everything that is wrong with it.

import { GatewayError } from '../errors.ts'
import { problemsOf, written } from './check.ts'

const SHOWN_PROBLEMS = 20

/**
 * @param upstreams names that a model may refer to
 * @throws GatewayError `invalid_declaration`
 */
export function checkBody(
  kind: 'upstreams' | 'models',
  name: string,
  body: unknown,
  upstreams: string[] = [],
): void {
  const found = problemsOf({ [kind]: { [name]: body } }, { upstreams })
  const references = JSON.stringify(body)?.includes('${')
    ? [{ path: [], what: '${NAME} stands for a variable only in headrace.yaml.' }]
    : []
  // The sentence is about the body, not about the document that it would be part of.
  const problems = [
    ...found.map(({ path, what }) => ({ path: path.slice(2), what })),
    ...references,
  ]
  const [first] = problems
  if (!first) return
  const sentences = problems
    .slice(0, SHOWN_PROBLEMS)
    .map(({ path, what }) => (path.length > 0 ? `${written(path)}: ${what}` : what))
  throw new GatewayError('invalid_declaration', sentences.join(' '), {
    ...(first.path.length > 0 && { param: written(first.path) }),
  })
}
