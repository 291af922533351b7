// Routes and targets as plain as they can be; a test says what is special about its own.

import type { Backend } from '../../gateway/backends/backend.ts'
import type { Route, Target } from '../../gateway/routing/route.ts'

export function plainTarget<B extends Backend>(
  backend: B,
  named: Pick<Target, 'version' | 'upstream' | 'asks'>,
): Target & { backend: B } {
  return {
    ...named,
    backend,
    weight: 1,
    price: null,
    timeouts: {},
    created: '2026-01-01T00:00:00.000Z',
  }
}

export function plainRoute(model: string, targets: Target[]): Route {
  return {
    model,
    targets,
    fallbacks: [],
    balance: 'weighted',
    stickyHeader: null,
    retries: 0,
    cacheSeconds: null,
  }
}
