// Features on trial, which Anthropic's clients ask for by the header `anthropic-beta`.
//
// Format: https://platform.claude.com/docs/en/api/beta-headers

import { GatewayError } from '../../errors.ts'

export const BETA_HEADER = 'anthropic-beta'

/** @returns none where the header is absent @throws GatewayError for what can't be the name of a feature */
export function readBetas(header: string | string[] | undefined): string[] {
  const names = [header ?? []]
    .flat()
    .flatMap((line) => line.split(','))
    .map((name) => name.trim())
    .filter((name) => name !== '')
  const wrong = names.find((name) => !/^[\w.-]+$/.test(name))
  if (wrong === undefined) return [...new Set(names)]
  throw new GatewayError(
    'invalid_value',
    `The header '${BETA_HEADER}' names '${wrong.slice(0, 64)}'; allowed are names of letters, digits, '.', '_' and '-', separated by commas.`,
    { param: BETA_HEADER },
  )
}
