// What fetching a source gives, how it goes on, and how it fails: the words that every kind of source shares.

import type { ManifestSource } from '../manifest.ts'

/** A checkpoint that now lies on this machine. */
export interface FetchedSource extends ManifestSource {
  /** the checkpoint's folder, or its one .gguf file */
  path: string
  /** as the package names it; what the checkpoint itself names comes first */
  licence: string | null
}

export interface FetchProgress {
  phase: 'resolve' | 'download' | 'unpack' | 'verify'
  /** what is being worked on: a file, a repository */
  item: string
  bytes: number
  /** null where the source does not say */
  totalBytes: number | null
}

/** adapter: a PEFT folder, adapter_config.json and adapter_model.safetensors */
export type SourceContent = 'checkpoint' | 'adapter'

export interface FetchOptions {
  /** where downloads are kept; what was fetched once is not fetched again */
  cacheDir: string
  settings: SourceSettings
  /** what is to be found there; a checkpoint where nothing is said */
  content?: SourceContent
  /** name of a fetched file → the sha256 that it must have */
  pins?: Record<string, string>
  signal?: AbortSignal
  onProgress?: (progress: FetchProgress) => void
}

/** What the operator's environment says about networks. */
export interface SourceSettings {
  /** address of the hub (HF_ENDPOINT) */
  hubEndpoint: string
  /** HF_TOKEN; null asks as nobody in particular */
  hubToken: string | null
  /** proxies of HTTP(S)_PROXY and NO_PROXY; absent: none */
  httpProxy?: string
  httpsProxy?: string
  noProxy?: string
  /** the whole environment, for the machine's own pip: its index, its proxy, its certificates */
  pipEnv: Record<string, string | undefined>
  connectTimeoutMs: number
  /** a transfer that brings no byte for this long is given up */
  stallTimeoutMs: number
}

// A host that can be reached answers a connection in well under a second; five allow for a lost packet or two, and keep a
// first start without a network short.
const CONNECT_TIMEOUT_MS = 5_000
// Object stores pause for seconds when a file is cold; twenty is beyond any pause seen, and short enough to wait for.
const STALL_TIMEOUT_MS = 20_000

const HUB_ENDPOINT = 'https://huggingface.co'

/** @param env as the process was started with */
export function sourceSettings(env: Record<string, string | undefined>): SourceSettings {
  return {
    hubEndpoint: (env.HF_ENDPOINT || HUB_ENDPOINT).replace(/\/+$/, ''),
    hubToken: env.HF_TOKEN || null,
    httpProxy: env.http_proxy ?? env.HTTP_PROXY,
    httpsProxy: env.https_proxy ?? env.HTTPS_PROXY,
    noProxy: env.no_proxy ?? env.NO_PROXY,
    pipEnv: env,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    stallTimeoutMs: STALL_TIMEOUT_MS,
  }
}

/** A source that can't be named, reached, trusted or used; the message is one sentence for the operator. */
export class SourceError extends Error {
  override name = 'SourceError'
}

/** @throws SourceError where a file has another sha256 than it is pinned to, or a pinned file is not there */
export function checkPins(pins: Record<string, string>, found: Record<string, string>, of: string) {
  for (const [name, wanted] of Object.entries(pins)) {
    const sha256 = found[name]
    if (sha256 === undefined) {
      const names = Object.keys(found).join(', ')
      throw new SourceError(`${of} holds no ${name}, which is pinned; it holds ${names}`)
    }
    if (sha256 !== wanted) {
      throw new SourceError(`${name} of ${of} has sha256 ${sha256}; it is pinned to ${wanted}`)
    }
  }
}
