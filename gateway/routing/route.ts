// What a model name leads to: the targets that may answer for it, and how one of them is chosen.
//
// Knows: words. Does not know: where routes are declared (file, tables, store), how a target answers.

import type { AnswerEvent, Backend } from '../backends/backend.ts'
import type { EncoderKind } from '../../models/encoder.ts'

/** `generate`: texts; the others read texts and say something of them */
export type ModelKind = 'generate' | EncoderKind

/** US dollars */
export interface Price {
  /** of a million prompt tokens */
  input: number
  /** of a million prompt tokens that the target had in its cache; absent: as the others */
  cachedInput?: number
  /** of a million generated tokens */
  output: number
  /** of a second of computing, for targets that are paid by time */
  second?: number
}

/** Milliseconds; absent: no limit of this kind. */
export interface Timeouts {
  /** until the connection stands */
  connectMs?: number
  /** from the request to the first delta of a stream; what comes whole has all of `totalMs` */
  firstTokenMs?: number
  /** between two deltas of a stream */
  stallMs?: number
  /** of the whole answer */
  totalMs?: number
}

export interface Target {
  /**
   * What answers, in headers, rows and metrics: a local version's full id, or `<model>@<upstream>` of an upstream.
   * Unique among a route's targets.
   */
  version: string
  /** name of the upstream, or `local` */
  upstream: string
  /** what its model does; absent: nobody told, which only asking it can say */
  kind?: ModelKind
  /** what the backend is asked for: a local version's full id, or the model's name at the upstream */
  asks: string
  backend: Backend
  /** share of the traffic among the route's targets; 0 gets none */
  weight: number
  price: Price | null
  timeouts: Timeouts
  /** ISO 8601, for listings */
  created: string
  /** id of the deployment that leads here; absent: none does */
  deployment?: number
}

type Balance = 'weighted' | 'least_busy' | 'fastest'

type Stickiness = 'caller' | 'session' | 'user'

export interface Route {
  /** what clients put in `model` */
  model: string
  targets: Target[]
  /** asked in this order where none of the targets could answer */
  fallbacks: Target[]
  balance: Balance
  /** header whose value keeps a caller's requests on one target; null: none */
  stickyHeader: string | null
  /** what keeps a conversation on one target, where a deployment says so */
  sticky?: Stickiness
  /** a target on trial, for a share of the keys */
  canary?: { target: Target; share: number } | null
  /** a target that gets a copy of a share of the requests, and whose answers nobody sees */
  shadow?: { target: Target; share: number } | null
  /** id of the deployment that says all this; absent: none does */
  deployment?: number
  /** attempts after the first over the targets, each of which is asked once in any case; fallbacks come behind them */
  retries: number
  /** how long answers to equal questions are given again; null: never */
  cacheSeconds: number | null
}

export interface Routes {
  /** @param name `model`, or `model@version` for one version; null where there is none */
  find(name: string): Promise<Route | null>
  /** all of them, for listings */
  list(): Promise<Route[]>
}

/** Of a deployed version whose turn it was and that was not asked, because it had failed too often. */
export const BREAKER_OPEN = 'breaker_open'

/** One target that was asked, for headers, the row and metrics. */
export interface Attempt {
  version: string
  upstream: string
  /** until it failed, or its first delta came */
  ms: number
  /** code of errors.ts, or BREAKER_OPEN; null for the one that answered */
  error: string | null
  /** what the target said, for the operator; free of secrets */
  detail: string | null
}

/** The first event of every routed answer says who gives it; everything before it was tried elsewhere. */
export type RoutedEvent = { type: 'routed'; target: Target } | AnswerEvent
