/**
 * What a deployment says: the whole traffic state of a model. Pure types: who keeps them is
 * gateway/deployments/ledger.ts, what they look like on the wire is gateway/dialects/admin.
 */

/** The whole traffic state of a model: what a deployment says. */
export interface TrafficState {
  /** who answers; shares are weights among them; at least one, full ids `model@n` */
  targets: WeightedVersion[]
  /** a version on trial; null: none */
  canary: Canary | null
  /** a version that gets a copy of a share of the traffic, and whose answers nobody sees; null: none */
  shadow: { version: string; /** in (0, 1] */ share: number } | null
  /** full ids, asked in this order where none of the targets could answer */
  fallbacks: string[]
  /** what keeps a conversation on one version */
  sticky: 'caller' | 'session' | 'user'
}
export interface WeightedVersion {
  version: string
  weight: number
}
export interface Canary {
  version: string
  /** of the traffic that it gets now, in (0, 1) */
  share: number
  /** shares to come after this one, growing, the last is 1: promoted */
  steps: number[]
  /** seconds that each step lasts at least */
  bakeSeconds: number
  guards: Guards
}
/** What a canary may not exceed against the live version; an absent one is not looked at. */
export interface Guards {
  /** exchanges of the canary, and of live, before any guard speaks; default 50 */
  minSample?: number
  /** how much larger the canary's share of failed exchanges may be, in [0, 1] */
  errorRate?: number
  /** factor that the canary's 95th percentile of time to first token may be of live's, >= 1 */
  timeToFirstToken?: number
  /** same of the total time */
  total?: number
  /** how much lower the mean feedback score may be, in [0, 1] */
  feedback?: number
  /** how much larger the share of refused exchanges may be (content filters, refusals by the model), in [0, 1] */
  refusalRate?: number
}
