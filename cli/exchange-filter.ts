// Which exchanges are meant, on the command line: `--where version=guide@7 --where total_ms_min=5000`, as the admin API
// has it.
//
// Knows: options, the language of filters. Does not know: what becomes of the rows.

import { InvalidArgumentError, Option } from 'commander'

import { readPseudonymKey } from '../gateway/db/pseudonym-key.ts'
import { FILTER_NAMES, readFilter } from '../gateway/dialects/admin/exchange-query.ts'
import { GatewayError } from '../gateway/errors.ts'
import { Pseudonyms } from '../gateway/privacy/pseudonyms.ts'
import { Redactor } from '../gateway/privacy/redactor.ts'
import type { Command } from 'commander'

import type { Pool } from '../gateway/db/pool.ts'
import type { Query } from '../gateway/dialects/admin/exchange-query.ts'

export interface FilterFlags {
  where?: Query
}

export const FILTER_HELP = `\nFilters: ${FILTER_NAMES.join(', ')}, metadata.NAME. One that is repeated may be any of its values; null is: not known.`

export function addFilters(command: Command): Command {
  const where = new Option('--where <field=value>', 'only those that meet it; may be repeated')
  return command.addOption(where.argParser(readWhere))
}

export function filterOf({ where = {} }: FilterFlags) {
  return readFilter(where)
}

/** What end users are called whose names may not be kept. */
export async function openPseudonyms(pool: Pool): Promise<Pseudonyms> {
  return new Pseudonyms(new Redactor(), await readPseudonymKey(pool))
}

/** The same for filters: what the operator's own patterns find is not known here, so any name may have one. */
export async function openAllPseudonyms(pool: Pool): Promise<Pick<Pseudonyms, 'of'>> {
  const pseudonyms = await openPseudonyms(pool)
  return { of: (name) => name && pseudonyms.made(name) }
}

function readWhere(text: string, before: Query = {}): Query {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? []
  if (name === undefined || value === undefined) {
    throw new InvalidArgumentError('Allowed is field=value.')
  }
  const known = before[name]
  const where = { ...before, [name]: known === undefined ? value : [known, value].flat() }
  try {
    readFilter(where)
  } catch (error) {
    if (error instanceof GatewayError) throw new InvalidArgumentError(error.message)
    throw error
  }
  return where
}
