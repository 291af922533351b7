// Projects by the names that tokens give them: a short memory in front of the table.
//
// As the memory of keys: asked for again after a few seconds; while the table can't be asked, what was known goes on
// for a set time.

import { LRUCache } from 'lru-cache'

import { GatewayError } from '../errors.ts'
import { inTime } from './in-time.ts'
import type { BodyPolicy } from './body-policy.ts'
import type { Caller } from './caller.ts'

export type CallersProject = NonNullable<Caller['project']> & { bodies: BodyPolicy | null }

export interface ProjectMemoryOptions {
  /** null where there is none, or it is archived */
  findProject(idOrName: string): Promise<CallersProject | null>
  graceMs: number
  now: () => number
}

const FRESH_MS = 5_000
const AWAY_MS = 1_000
const LOOKUP_TIMEOUT_MS = 2_000
/** Only names in signed tokens come here. */
const MAX_REMEMBERED = 10_000

interface Found {
  project: CallersProject | null
  checkedMs: number
}

export class ProjectMemory {
  readonly #options: ProjectMemoryOptions
  readonly #found = new LRUCache<string, Found>({ max: MAX_REMEMBERED })
  #awayUntilMs = -Infinity
  #doubtedMs = -Infinity

  constructor(options: ProjectMemoryOptions) {
    this.#options = options
  }

  doubtAll() {
    this.#doubtedMs = this.#options.now()
  }

  /** @throws GatewayError `key_check_unavailable` */
  async find(idOrName: string): Promise<CallersProject | null> {
    const { now, graceMs, findProject } = this.#options
    const askedMs = now()
    const found = this.#found.get(idOrName)
    const ageMs = found ? askedMs - found.checkedMs : Infinity
    if (found && found.checkedMs > this.#doubtedMs && ageMs < FRESH_MS) return found.project
    const isKept = found && ageMs < graceMs
    if (isKept && askedMs < this.#awayUntilMs) return found.project
    try {
      const lookup = findProject(idOrName)
      const project = await inTime(lookup, LOOKUP_TIMEOUT_MS, 'The table of projects')
      this.#found.set(idOrName, { project, checkedMs: askedMs })
      return project
    } catch (error) {
      this.#awayUntilMs = now() + AWAY_MS
      if (isKept) return found.project
      throw new GatewayError(
        'key_check_unavailable',
        "The token's project can't be looked up at the moment. Try again shortly.",
        { cause: error },
      )
    }
  }
}
