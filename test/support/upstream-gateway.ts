// A gateway whose model is at a scripted upstream that speaks OpenAI's dialect.

import type { TestContext } from 'node:test'

import { OpenAIUpstream } from '../../gateway/backends/upstream/openai.ts'
import { startGateway } from './gateway.ts'
import { plainRoute, plainTarget } from './route.ts'
import { ScriptedUpstream } from './scripted-upstream.ts'
import type { Backend } from '../../gateway/backends/backend.ts'
import type { Route, Target } from '../../gateway/routing/route.ts'
import type { GatewayOptions } from './gateway.ts'

/** as clients name it, and as the upstream does */
export const FAR_MODEL = 'far'
export const ASKED_MODEL = 'gpt-far'
export const UPSTREAM_KEY = 'planted-secret-0123456789'

export function targetOf(backend: Backend, more: Partial<Target> = {}): Target {
  const named = { version: `${ASKED_MODEL}@there`, upstream: 'there', asks: ASKED_MODEL }
  return { ...plainTarget(backend, named), ...more }
}

export function routeTo(targets: Target[], more: Partial<Route> = {}): Route {
  return { ...plainRoute(FAR_MODEL, targets), ...more }
}

export async function startUpstreamGateway(
  t: TestContext,
  { settings, deps }: GatewayOptions = {},
) {
  const upstream = await ScriptedUpstream.start(t)
  const backend = new OpenAIUpstream({ baseUrl: `${upstream.url}/v1`, apiKey: UPSTREAM_KEY })
  t.after(() => backend.close())
  const target = targetOf(backend)
  const routes = new Map([[FAR_MODEL, routeTo([target])]])
  const gateway = await startGateway(t, {
    settings,
    deps: {
      routes: {
        find: (name) => Promise.resolve(routes.get(name) ?? null),
        list: () => Promise.resolve([...routes.values()]),
      },
      defaultTarget: () => target,
      ...deps,
    },
  })
  return { ...gateway, upstream, routes, target }
}
