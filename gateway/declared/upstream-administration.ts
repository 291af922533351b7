// Upstreams as administrators see and change them: the file's, which they can only see, and those of the table.
//
// Secrets go in and never come out: an answer has their last four characters. One that is not sent again stays, as long
// as it would be sent to the same place: a new address needs the secret anew, so that nobody gets it by changing where
// it goes.
//
// Knows: declarations, the table, sealing. Does not know: HTTP.

import { recordChange } from '../db/audit.ts'
import { listDeclaredModels } from '../db/declared-models.ts'
import { deleteUpstream, findUpstream, listUpstreams, upsertUpstream } from '../db/upstreams.ts'
import { GatewayError } from '../errors.ts'
import { SecretError } from '../secrets.ts'
import { changeDeclared, orUnavailable } from './change.ts'
import { checkBody } from './check-body.ts'
import { hintsOf, openSecret, sealSecret } from './stored-secret.ts'
import { upstreamsOf } from './stored-declarations.ts'
import type { Actor } from '../db/audit.ts'
import type { Pool } from '../db/pool.ts'
import type { StoredUpstream } from '../db/upstreams.ts'
import type { Keyring } from '../secrets.ts'
import type { DeclaredModel, DeclaredUpstream } from './schema.ts'
import type { Sources } from './sources.ts'
import type { StoredDeclarations } from './stored-declarations.ts'
import type { UpstreamSecret } from './stored-secret.ts'

export interface AdministrationDeps {
  pool: Pool
  keyring: Keyring
  sources: Sources
  stored: StoredDeclarations
}

/** As answers show one. */
export type UpstreamView = Omit<DeclaredUpstream, 'key' | 'headers'> & {
  name: string
  source: 'file' | 'api'
  /** false: headrace.yaml has one of this name, which is in force instead */
  in_force: boolean
  /** last characters */
  key?: string
  headers?: Record<string, string>
  created_at: string | null
  updated_at: string | null
}

export class UpstreamAdministration {
  readonly #deps: AdministrationDeps

  constructor(deps: AdministrationDeps) {
    this.#deps = deps
  }

  async list(): Promise<UpstreamView[]> {
    const { pool, sources } = this.#deps
    const rows = await orUnavailable(() => listUpstreams(pool))
    const declared = Object.entries(sources.file.upstreams ?? {})
    return [
      ...declared.map(([name, upstream]) => viewOfDeclared(name, upstream)),
      ...rows.map((row) => this.#viewOf(row)),
    ]
  }

  /** Of the table's and the file's the one that is in force. */
  async find(name: string): Promise<UpstreamView> {
    const declared = this.#inFile(name)
    if (declared) return viewOfDeclared(name, declared)
    const row = await orUnavailable(() => findUpstream(this.#deps.pool, name))
    if (row) return this.#viewOf(row)
    throw noUpstream(name)
  }

  /** Makes one or replaces it. @throws GatewayError with everything that is wrong */
  async put(name: string, body: unknown, actor: Actor): Promise<UpstreamView> {
    const { pool, stored } = this.#deps
    const { isKeyless, rest } = withoutNullKey(body)
    checkBody('upstreams', name, rest)
    const declared = rest as DeclaredUpstream
    const view = await changeDeclared(pool, async (transaction) => {
      const before = await findUpstream(transaction, name)
      const secret = this.#secretFor(name, declared, isKeyless, before)
      const { key: _key, headers: _headers, ...declaration } = declared
      const now = new Date()
      const after: StoredUpstream = {
        name,
        declaration,
        secret: this.#seal(name, secret),
        hints: hintsOf(secret),
        createdAt: before?.createdAt ?? now,
        updatedAt: now,
      }
      await upsertUpstream(transaction, after)
      const shown = this.#viewOf(after)
      await recordChange(transaction, actor, {
        action: before ? 'upstream.update' : 'upstream.create',
        kind: 'upstream',
        id: name,
        name,
        before: before && this.#viewOf(before),
        after: shown,
      })
      return shown
    })
    // Whoever is told that it is there can use it here at once.
    await stored.refresh()
    return view
  }

  async remove(name: string, actor: Actor): Promise<void> {
    const { pool, stored } = this.#deps
    await changeDeclared(pool, async (transaction) => {
      const before = await findUpstream(transaction, name)
      if (!before) throw this.#inFile(name) ? onlyInFile('upstream', name) : noUpstream(name)
      if (!this.#inFile(name)) {
        const models = await listDeclaredModels(transaction)
        const users = models.filter(({ declaration }) => {
          return upstreamsOf(declaration as DeclaredModel).includes(name)
        })
        if (users.length > 0) throw inUse(name, users)
      }
      await deleteUpstream(transaction, name)
      const change = {
        action: 'upstream.delete',
        kind: 'upstream' as const,
        id: name,
        name,
        after: null,
      }
      await recordChange(transaction, actor, { ...change, before: this.#viewOf(before) })
    })
    await stored.refresh()
  }

  #inFile(name: string): DeclaredUpstream | null {
    const { upstreams = {} } = this.#deps.sources.file
    return Object.hasOwn(upstreams, name) ? (upstreams[name] ?? null) : null
  }

  /** What was sent, with what was not sent again. */
  #secretFor(
    name: string,
    sent: DeclaredUpstream,
    isKeyless: boolean,
    before: StoredUpstream | null,
  ): UpstreamSecret {
    const { key, headers } = sent
    const keepsKey = key === undefined && !isKeyless && before?.hints.key !== undefined
    const keepsHeaders = headers === undefined && before?.hints.headers !== undefined
    if (!before || !(keepsKey || keepsHeaders))
      return { ...(key && { key }), ...(headers && { headers }) }
    if (placeOf(before.declaration as DeclaredUpstream) !== placeOf(sent)) {
      throw new GatewayError(
        'invalid_declaration',
        `The upstream '${name}' moves to another address: send its ${keepsKey ? "'key'" : "'headers'"} again, ` +
          `as secrets are not taken along (null for no key, {} for no headers).`,
        { param: keepsKey ? 'key' : 'headers' },
      )
    }
    const kept = this.#open(name, before.secret)
    const nextKey = keepsKey ? kept.key : key
    const nextHeaders = keepsHeaders ? kept.headers : headers
    return { ...(nextKey && { key: nextKey }), ...(nextHeaders && { headers: nextHeaders }) }
  }

  #seal(name: string, secret: UpstreamSecret): string | null {
    try {
      return sealSecret(this.#deps.keyring, name, secret)
    } catch (error) {
      throw asRefusal(error, 'Set HEADRACE_SECRET_KEY to 32 random bytes, base64 or hex.')
    }
  }

  #open(name: string, sealed: string | null): UpstreamSecret {
    try {
      return openSecret(this.#deps.keyring, name, sealed)
    } catch (error) {
      throw asRefusal(error, "Send the 'key' and the 'headers' again.")
    }
  }

  #viewOf({ name, declaration, hints, createdAt, updatedAt }: StoredUpstream): UpstreamView {
    return {
      name,
      source: 'api',
      in_force: !this.#inFile(name),
      ...(declaration as DeclaredUpstream),
      ...hints,
      created_at: createdAt.toISOString(),
      updated_at: updatedAt.toISOString(),
    }
  }
}

function viewOfDeclared(name: string, upstream: DeclaredUpstream): UpstreamView {
  const { key, headers, ...declaration } = upstream
  const secret = { ...(key !== undefined && { key }), ...(headers && { headers }) }
  const shared = { name, source: 'file' as const, in_force: true }
  return { ...shared, ...declaration, ...hintsOf(secret), created_at: null, updated_at: null }
}

/** `null` says that there shall be no key, where leaving it out says that it shall stay. */
function withoutNullKey(body: unknown): { isKeyless: boolean; rest: unknown } {
  if (typeof body !== 'object' || body === null || !('key' in body) || body.key !== null) {
    return { isKeyless: false, rest: body }
  }
  const { key: _key, ...rest } = body
  return { isKeyless: true, rest }
}

/** where a secret would be sent */
function placeOf({ api, base_url: baseUrl }: DeclaredUpstream): string {
  return baseUrl === undefined ? api : new URL(baseUrl).origin
}

function noUpstream(name: string): GatewayError {
  return new GatewayError('upstream_not_found', `There is no upstream '${name}'.`)
}

export function onlyInFile(kind: string, name: string): GatewayError {
  return new GatewayError(
    'declared_in_file',
    `The ${kind} '${name}' is declared in headrace.yaml: change it there.`,
  )
}

function inUse(name: string, users: { name: string }[]): GatewayError {
  const models = users.map((user) => `'${user.name}'`).join(', ')
  return new GatewayError(
    'upstream_in_use',
    `The upstream '${name}' is still a target of ${models}: change or delete what uses it first.`,
  )
}

function asRefusal(error: unknown, remedy: string): unknown {
  if (!(error instanceof SecretError)) return error
  return new GatewayError('secret_key_missing', `${error.message} ${remedy}`, { cause: error })
}
