// The Lua scripts by which several replicas count together, as functions.
//
// Each is one round trip and atomic. All keys have the same hash tag, so that a cluster keeps them in one place: a
// script can only touch keys that are together.
//
// Knows: keys and arguments of the scripts. Does not know: when they are called, what to do when they fail.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import type { Result } from 'ioredis'

import type { BudgetClaim, Claim } from './claim.ts'
import type { Refusal, Standing } from './counters.ts'
import type { Redis } from '../process/redis.ts'

const PREFIX = '{headrace}:limits:'
const REPLICAS = `${PREFIX}replicas`
/** A replica that has not been heard of for so long is dead, and what it held is free; five beats may be missed. */
const LIFE_MS = 6_000
export const BEAT_MS = 1_000

export type TakeAnswer =
  | { kind: 'taken'; slot: string; standings: Standing[] }
  | { kind: 'refused'; refusal: Refusal; standings: Standing[] }
  /** indexes of the claims whose spend is not known there */
  | { kind: 'unknown'; claims: number[] }
  | { kind: 'lapsed' }

export interface Settlement {
  claim: Claim
  /** by this replica, as Redis knows it */
  reserved: number
  used: number
}

export interface Known {
  claim: Claim
  /** absent: to be left as it is */
  held?: number
  /** absent: not known */
  spent?: number
}

export type Scripts = ReturnType<typeof createScripts>

export function createScripts(redis: Redis) {
  const [take, settle, sync, beat] = (['take', 'settle', 'sync', 'beat'] as const).map((name) =>
    define(redis, name),
  ) as [Script, Script, Script, Script]

  return {
    /** @param spent of budgets that were unknown, by index */
    async take(me: string, claims: Claim[], spent: Map<number, number>): Promise<TakeAnswer> {
      const keys = [REPLICAS, ...claims.map(keyOf)]
      const args = claims.flatMap((claim, index) => [
        claim.kind,
        claim.limit,
        claim.amount,
        timeOf(claim),
        spent.get(index) ?? '',
      ])
      return readTake((await take(keys, [me, ...args])) as (string | number)[])
    },

    async settle(me: string, slot: string | null, settlements: Settlement[]): Promise<void> {
      const keys = settlements.map(({ claim }) => keyOf(claim))
      const args = settlements.flatMap(({ claim, reserved, used }) => [claim.kind, reserved, used])
      await settle(keys, [me, slot ?? '', ...args])
    },

    async sync(before: string, me: string, known: Known[]): Promise<void> {
      const keys = [REPLICAS, ...known.map(({ claim }) => keyOf(claim))]
      const args = known.flatMap(({ claim, held = '', spent = '' }) => [
        claim.kind,
        held,
        spent,
        timeOf(claim),
      ])
      await sync(keys, [before, me, LIFE_MS, ...args])
    },

    async beat(me: string): Promise<{ replicas: number; hasLapsed: boolean }> {
      const [replicas = 1, lapsed] = (await beat([REPLICAS], [me, LIFE_MS])) as number[]
      return { replicas, hasLapsed: lapsed === 1 }
    },

    async leave(me: string): Promise<void> {
      await redis.zrem(REPLICAS, me)
    },
  }
}

type Name = 'take' | 'settle' | 'sync' | 'beat'
type Script = (keys: string[], args: (string | number)[]) => Promise<unknown>

// What define() adds to a connection; ioredis makes a method of each.
declare module 'ioredis' {
  interface RedisCommander<Context> extends Record<
    `headrace_${Name}`,
    (count: number, ...keysAndArgs: (string | number)[]) => Result<unknown, Context>
  > {}
}

function define(redis: Redis, name: Name): Script {
  const [common, own] = ['common', name].map((file) =>
    readFileSync(join(import.meta.dirname, 'lua', `${file}.lua`), 'utf8'),
  )
  const command = `headrace_${name}` as const
  redis.defineCommand(command, { lua: `${common}\n${own}` })
  return (keys, args) => redis[command](keys.length, ...keys, ...args)
}

function readTake(answer: (string | number)[]): TakeAnswer {
  const [kind, ...rest] = answer
  const numbers = rest.map(Number)
  switch (kind) {
    case 'taken':
      return { kind, slot: String(rest[0]), standings: readStandings(numbers.slice(1)) }
    case 'refused': {
      const [claim = 1, wait = 0] = numbers
      const refusal = { claim: claim - 1, retryMs: wait < 0 ? null : wait }
      return { kind, refusal, standings: readStandings(numbers.slice(2)) }
    }
    case 'unknown':
      return { kind, claims: numbers.map((index) => index - 1) }
    default:
      return { kind: 'lapsed' }
  }
}

function readStandings(numbers: number[]): Standing[] {
  return Array.from({ length: numbers.length / 2 }, (_, index) => ({
    used: numbers[2 * index] ?? 0,
    resetMs: numbers[2 * index + 1] ?? 0,
  }))
}

function keyOf({ key }: Claim): string {
  return PREFIX + key
}

function timeOf(claim: Claim): number {
  return claim.kind === 'window' ? claim.windowMs : endOf(claim)
}

function endOf(claim: Claim | BudgetClaim): number {
  return claim.kind === 'budget' ? claim.toMs : 0
}
