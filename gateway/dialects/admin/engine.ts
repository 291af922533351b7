// Hosts and the engines on them, in the admin API's wire format.

import { Type } from 'typebox'
import type { Static } from 'typebox'

import type { Device, EngineStats } from '../../../runtime/protocol.ts'
import type { HostReport } from '../../residency/residency.ts'
import { Time } from './fields.ts'

const Bytes = Type.Integer({ minimum: 0 })

const HostBody = Type.Object({
  name: Type.String({ description: "Its address, or `local` for the server's own." }),
  up: Type.Boolean(),
  device: Type.Unsafe<Device | null>({
    type: ['string', 'null'],
    enum: ['cpu', 'cuda', 'webgpu', null],
  }),
  memory: Type.Union([
    Type.Null(),
    Type.Object({
      total_bytes: Bytes,
      free_bytes: Bytes,
      budget_bytes: Type.Integer({ description: 'What its engines may have together.' }),
      used_bytes: Type.Integer({ description: 'What they have.' }),
    }),
  ]),
})

const EngineBody = Type.Object({
  version: Type.String(),
  host: Type.String(),
  state: Type.Unsafe<EngineStats['state']>({
    type: 'string',
    enum: ['loading', 'ready', 'restarting', 'draining', 'failed'],
  }),
  reason: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
  wanted: Type.Boolean({ description: 'It is live or kept warm, and stays.' }),
  memory_bytes: Type.Integer({ description: 'Its own pages, and its share of those it shares.' }),
  slots: Type.Integer(),
  running: Type.Integer(),
  waiting: Type.Integer(),
  context_tokens: Type.Integer(),
  load_seconds: Type.Number(),
  restarts: Type.Integer(),
  last_used_at: Time,
  adapters: Type.Array(Type.String(), {
    description: 'Versions that are adapters of this one, and which its engine answers for.',
  }),
})

export const EngineList = Type.Object({
  object: Type.Literal('list'),
  hosts: Type.Array(HostBody),
  data: Type.Array(EngineBody),
})

export type EngineListBody = Static<typeof EngineList>

export function engineListBody(hosts: HostReport[]): EngineListBody {
  return {
    object: 'list',
    hosts: hosts.map(({ name, isUp, device, memory }) => ({
      name,
      up: isUp,
      device,
      memory: memory && {
        total_bytes: memory.totalBytes,
        free_bytes: memory.freeBytes,
        budget_bytes: memory.budgetBytes,
        used_bytes: memory.usedBytes,
      },
    })),
    data: hosts.flatMap(({ name, engines }) => engines.map((engine) => engineBody(name, engine))),
  }
}

function engineBody(host: string, engine: EngineStats): Static<typeof EngineBody> {
  return {
    version: engine.version,
    host,
    state: engine.state,
    reason: engine.reason ?? null,
    wanted: engine.isWanted,
    memory_bytes: engine.memoryBytes,
    slots: engine.slots,
    running: engine.running,
    waiting: engine.waiting,
    context_tokens: engine.contextTokens,
    load_seconds: engine.loadMs / 1000,
    restarts: engine.restarts,
    last_used_at: new Date(engine.lastUsedAt).toISOString(),
    adapters: engine.adapters ?? [],
  }
}
