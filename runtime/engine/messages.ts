// What an engine process and its host say to each other, over Node's own IPC channel.
//
// Everything a step produced travels as one message, so that the channel's cost goes with steps and not with sequences.

import type { EngineStats, GenerateEvent, GenerateRequest, LoadEvent } from '../protocol.ts'

export type HostMessage =
  | { type: 'generate'; request: GenerateRequest }
  /** the client went away: free its slot before the next step; no event follows */
  | { type: 'cancel'; id: string }
  /** finish what runs, take nothing new, then exit with 0 */
  | { type: 'drain' }
  | { type: 'stats'; ask: number }

export type EngineMessage =
  | LoadEvent
  | { type: 'events'; events: [id: string, event: GenerateEvent][] }
  | { type: 'stats'; ask: number; stats: EngineOwnStats }

/** the part of the figures that the engine itself knows */
export type EngineOwnStats = Omit<EngineStats, 'version' | 'state' | 'reason' | 'pid' | 'restarts' | 'loadMs'>
