// The route that a name leads to, for whoever may take it.

import { GatewayError } from '../errors.ts'
import type { Route, Routes } from './route.ts'

/** @throws GatewayError `model_not_found`, also where it is there and not for this caller: nobody learns what others have */
export async function findRoute(
  routes: Routes,
  name: string,
  isAllowed: (model: string) => boolean,
): Promise<Route> {
  const route = await routes.find(name)
  if (route && isAllowed(route.model)) return route
  throw new GatewayError(
    'model_not_found',
    `The model '${name}' does not exist on this server, or not for this key. GET /v1/models lists those that do.`,
    { param: 'model' },
  )
}
