// What an engine process and its host say to each other, over Node's own IPC channel.
//
// Everything a step produced travels as one message, so that the channel's cost goes with steps and not with sequences.
//
// An engine process ends when the channel closes, whoever closed it: so does the host's own end, however sudden. Signals of
// a terminal or a container reach both; they are the host's to honour, and an engine ignores SIGINT and SIGTERM. After
// `drain` it leaves only when its last message is written, or the end of an answer is lost.

import type { DeviceChoice } from '../ort/device-choice.ts'
import type {
  EncodeEvent,
  EncodeRequest,
  EngineStats,
  GenerateEvent,
  GenerateRequest,
  LoadEvent,
  RuntimeFailure,
  VersionId,
} from '../protocol.ts'

/** What an engine may be asked; which of them its version can do is for the engine to say. */
export type EngineRequest = GenerateRequest | EncodeRequest
export type EngineEvent = GenerateEvent | EncodeEvent

export type HostMessage =
  | { type: 'generate'; request: GenerateRequest }
  | { type: 'encode'; request: EncodeRequest }
  /** the client went away: free its slot before the next step; no event follows */
  | { type: 'cancel'; id: string }
  /** finish what runs, take nothing new, then exit with 0 */
  | { type: 'drain' }
  | { type: 'stats'; ask: number }
  /** take in an adapter of this engine's base; requests that name it may follow at once */
  | { type: 'adapter'; version: VersionId; folder: string }
  /** take nothing new for it, and forget it when its last sequence has ended */
  | { type: 'drop-adapter'; version: VersionId }

export type EngineMessage =
  | LoadEvent
  | { type: 'events'; events: [id: string, event: EngineEvent][] }
  | { type: 'stats'; ask: number; stats: EngineOwnStats }
  /** what became of an adapter */
  | { type: 'adapter'; version: VersionId; error: RuntimeFailure | null }
  /** what it has of the device's own memory; before `ready`, and never where the device is the processor */
  | { type: 'device'; bytes: number }

/** the part of the figures that the engine itself knows */
export type EngineOwnStats = Omit<
  EngineStats,
  | 'version'
  | 'state'
  | 'reason'
  | 'pid'
  | 'restarts'
  | 'loadMs'
  | 'adapters'
  | 'lastUsedAt'
  | 'isWanted'
>

/** Given to the engine process as JSON in its first argument. */
export interface EngineSettings {
  /** the version folder */
  folder: string
  version: string
  /** what forward passes run on */
  device: DeviceChoice
  /** the ONNX Runtime to load; null: the one of the package */
  library: string | null
  /** intra-op threads of a forward pass */
  threads: number
  /** most sequences at once; the engine takes fewer where the KV budget does not hold them */
  slots: number
  /** most tokens of one sequence; null: what the model was trained for */
  contextTokens: number | null
  /** memory that the KV cache may come to occupy */
  kvBudgetBytes: number
  /** prompt tokens of one step */
  prefillChunk: number
  /** of models that read whole texts: most places of a batch, its texts times the longest of them */
  batchTokens: number
  /** requests that may wait for a slot before the answer is `overloaded` */
  maxWaiting: number
}
