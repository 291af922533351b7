// What the claims of a token say of its holder, in our own terms.
//
// Knows: the names of claims that the operator chose, and the shapes that issuers give them. Does not know: signatures,
// projects beyond their names.

import { hash } from 'node:crypto'

import { GatewayError } from '../errors.ts'
import { ROLES } from './caller.ts'
import type { Role } from './caller.ts'

/** Names of claims; where there is none of that name, `a.b` is looked for as `b` within `a`. */
export interface ClaimNames {
  name: string
  project: string
  role: string
  models: string
}

export type Claims = Record<string, unknown>

/** characters; a subject has at most 255 (OpenID Connect Core, section 2), and most are an id of some 36 */
const MAX_NAME = 128
/** controls, ends of lines, and marks that turn the direction of what is read after them */
const UNSHOWN = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]+/gu

export interface Holder {
  /** the same for the same issuer and subject everywhere, so that limits hold across tokens and replicas */
  id: string
  name: string
  role: Role
  /** id or name */
  project: string | null
  allowedModels: string[] | null
}

/** @throws GatewayError `invalid_token` where a claim is there and says nothing that is understood */
export function readClaims(claims: Claims, issuer: string, names: ClaimNames): Holder {
  const subject = readSubject(claims['sub'])
  return {
    id: uuidOf(`${issuer}\n${subject}`),
    name: readName(find(claims, names.name)) ?? readName(subject) ?? 'a caller without a name',
    role: readRole(find(claims, names.role)),
    project: readProject(find(claims, names.project), names.project),
    allowedModels: readModels(find(claims, names.models), names.models),
  }
}

function find(claims: Claims, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name]
  let value: unknown = claims
  for (const part of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined
    value = (value as Claims)[part]
  }
  return value
}

/** An object or a list would make one caller of all who have one. */
function readSubject(claim: unknown): string {
  if (typeof claim === 'string' && claim !== '') return claim
  throw new GatewayError('invalid_token', "The token's claim 'sub' must be a text.")
}

/** What rows and the audit log are to show: one line, and not of any length. */
function readName(claim: unknown): string | null {
  if (typeof claim !== 'string') return null
  const line = claim.replaceAll(UNSHOWN, ' ').trim()
  const characters = Array.from(line)
  if (characters.length > MAX_NAME) return `${characters.slice(0, MAX_NAME - 1).join('')}…`
  return line === '' ? null : line
}

/** The highest of those that are ours; issuers list the roles of everything they guard. */
function readRole(claim: unknown): Role {
  const given = [claim].flat()
  return ROLES.findLast((role) => given.includes(role)) ?? 'caller'
}

function readProject(claim: unknown, name: string): string | null {
  if (claim === undefined || claim === null) return null
  if (typeof claim === 'string' && claim !== '') return claim
  throw new GatewayError('invalid_token', `The token's claim '${name}' must be a project's name.`)
}

function readModels(claim: unknown, name: string): string[] | null {
  if (claim === undefined || claim === null) return null
  if (typeof claim === 'string') return claim.split(/[\s,]+/).filter((model) => model !== '')
  if (Array.isArray(claim) && claim.every((model) => typeof model === 'string')) return claim
  // Never "all models" because nobody understood which ones.
  throw new GatewayError(
    'invalid_token',
    `The token's claim '${name}' must be an array of names of models, or one string of them.`,
  )
}

/** RFC 9562, section 5.8: a UUID of our own making. */
function uuidOf(text: string): string {
  const hex = hash('sha256', text, 'hex')
  const variant = ((parseInt(hex[16]!, 16) & 0x3) | 0x8).toString(16)
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    variant + hex.slice(17, 20),
    hex.slice(20, 32),
  ].join('-')
}
