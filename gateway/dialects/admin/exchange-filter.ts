// Which exchanges are meant, in the query of an address: `?from=…&model=…`.

import { Type } from 'typebox'

import { readTime } from './fields.ts'
import type { ExchangeFilter } from '../../db/exchange-filter.ts'

const text = (description: string) => Type.Optional(Type.String({ minLength: 1, description }))

export const FILTER_QUERY = {
  from: text('From this time on, such as 2027-01-31T00:00:00Z.'),
  to: text('Before this time.'),
  model: text('That answered.'),
  version: text('That answered: name@number.'),
  caller: text('Id or name.'),
  project: text('Id or name.'),
  end_user: text('Whom the caller asked for.'),
  session: text('As the caller named it.'),
  conversation: text('Id of its first exchange.'),
  tag: text('That they have.'),
  outcome: Type.Optional(
    Type.Unsafe<string>({
      type: 'string',
      enum: ['completed', 'cancelled', 'failed', 'refused'],
    }),
  ),
}

export type FilterQuery = { [Name in keyof typeof FILTER_QUERY]?: string }

/** @throws GatewayError where a time is none */
export function readFilter({
  from,
  to,
  end_user: endUser,
  tag,
  ...rest
}: FilterQuery): ExchangeFilter {
  return {
    ...rest,
    endUser,
    tags: tag === undefined ? undefined : [tag],
    from: from === undefined ? undefined : readTime(from, 'from'),
    to: to === undefined ? undefined : readTime(to, 'to'),
  }
}
