// What a runtime host can be told, with what it does when it is not.
//
// Knows: names, ranges, defaults. Does not know: where settings come from.

import { availableParallelism } from 'node:os'

import { readMachineMemory } from './host/machine-memory.ts'
import { parseDevice } from './ort/device-choice.ts'
import type { DeviceChoice } from './ort/device-choice.ts'
import { isLoopback, parseAddress } from './address.ts'
import type { Address } from './address.ts'

export interface RuntimeSettings {
  /** version folders are at `<data dir>/models/<name>/<version>` */
  dataDir: string
  /** `unix:/path/of.sock` or `http://host:port`; port 0 takes any that is free */
  address: string
  /** bearer token that callers have to send; required where other machines can connect */
  token?: string
  /** `cpu`, `cuda`, `cuda:N` or `webgpu`; default cpu */
  device?: string
  /** file of the ONNX Runtime to load; default null: the one of the npm package */
  library?: string | null
  /** threads of a forward pass; default: as many as the machine runs at once */
  threads?: number
  /** most sequences of one engine at once; default 32 */
  slots?: number
  /** most tokens of one sequence; default null: what the model was trained for */
  contextTokens?: number | null
  /** memory that all engines may have together; default: most of the machine's, or of its control group's */
  memoryBytes?: number
  /** how long a version that no gateway wants is kept without a request; default 15 min; 0: for ever */
  idleUnloadMs?: number
  /** memory that one engine's KV cache may come to occupy; default: half of the machine's */
  kvBudgetBytes?: number
  /** prompt tokens of one step; default 256: a long prompt holds the others up for that much and no longer */
  prefillChunk?: number
  /** of models that read whole texts: most places of a batch, its texts times the longest of them; default 512 */
  batchTokens?: number
  /** requests that may wait for a slot before the answer is `overloaded`; default 256 */
  maxWaiting?: number
  /** how long running requests may take to finish when their engine or the host is to end; default 30 s */
  drainMs?: number
  /** an engine that has not answered for this long hangs, and is started again; default 5 min: steps take seconds */
  hangMs?: number
}

/** The rest is the host's own, the gateway's and PostgreSQL's, and what the system keeps of files. */
const MEMORY_SHARE = 0.8
const KV_SHARE = 0.5
const IDLE_UNLOAD_MS = 15 * 60_000

interface ResolvedSettings extends Required<Omit<RuntimeSettings, 'address' | 'token' | 'device'>> {
  address: Address
  token: string | null
  device: DeviceChoice
}

/** @throws Error with every problem, a line each: the setting, what was given, what is allowed */
export function resolveSettings(
  settings: RuntimeSettings,
  totalBytes = readMachineMemory().totalBytes,
): ResolvedSettings {
  const problems: string[] = []
  const whole = (name: keyof RuntimeSettings, value: number, least: number): number => {
    if (!Number.isSafeInteger(value) || value < least) {
      problems.push(`${name}: ${value}; allowed is a whole number of at least ${least}`)
    }
    return value
  }
  const { contextTokens = null, token = '' } = settings
  let address: Address | null = null
  try {
    address = parseAddress(settings.address)
  } catch (error) {
    problems.push(`address: ${error instanceof Error ? error.message : String(error)}`)
  }
  if (address?.kind === 'tcp' && token === '' && !isLoopback(address.host)) {
    const where = `${settings.address} can be reached from other machines`
    problems.push(`token: none, but ${where}; give one, or listen on 127.0.0.1 or a unix socket`)
  }
  if (settings.dataDir === '') problems.push('dataDir: empty; allowed is the path of a folder')
  const device = parseDevice(settings.device ?? 'cpu')
  if (!device) {
    problems.push(
      `device: ${settings.device}; allowed is cpu, cuda, cuda:N (N from 0 to 99), webgpu`,
    )
  }
  const memoryBytes = settings.memoryBytes ?? Math.floor(MEMORY_SHARE * totalBytes)
  const kvBudgetBytes = settings.kvBudgetBytes ?? Math.floor(KV_SHARE * totalBytes)
  const numbers = {
    threads: whole('threads', settings.threads ?? availableParallelism(), 1),
    slots: whole('slots', settings.slots ?? 32, 1),
    contextTokens: contextTokens === null ? null : whole('contextTokens', contextTokens, 1),
    memoryBytes: whole('memoryBytes', memoryBytes, 1),
    idleUnloadMs: whole('idleUnloadMs', settings.idleUnloadMs ?? IDLE_UNLOAD_MS, 0),
    kvBudgetBytes: whole('kvBudgetBytes', kvBudgetBytes, 1),
    prefillChunk: whole('prefillChunk', settings.prefillChunk ?? 256, 1),
    batchTokens: whole('batchTokens', settings.batchTokens ?? 512, 1),
    maxWaiting: whole('maxWaiting', settings.maxWaiting ?? 256, 0),
    drainMs: whole('drainMs', settings.drainMs ?? 30_000, 0),
    hangMs: whole('hangMs', settings.hangMs ?? 300_000, 1),
  }
  if (problems.length > 0 || !address || !device) {
    throw new Error(`The runtime's settings are wrong.\n${problems.join('\n')}`)
  }
  const { dataDir, library = null } = settings
  return { ...numbers, dataDir, library, device, address, token: token === '' ? null : token }
}
