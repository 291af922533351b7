// Whether this process can serve, and until then how far it is: what the composition root sets and /readyz tells.
//
// Until the model of this server has answered once the server is not ready, whatever else it has: it was asked to bring
// one. From then on, and where there is to be none, it is ready while anything answers: the model, or one that is
// declared over an upstream. Taking a server out because one of its models is away would take the others away too.
//
// Knows: phases. Does not know: what happens in them.

/** what is going on before the first request can be served */
type Phase = 'starting' | 'preparing' | 'loading' | 'ready' | 'failed' | 'undeclared' | 'draining'

interface LocalModel {
  phase: Phase
  detail: string
  progress: number | null
  /** full id, while it answers */
  version: string | null
  /** that answers as the version; null: an engine does */
  upstream: string | null
}

export interface ReadinessReport {
  isReady: boolean
  phase: Phase
  /** one sentence or two for whoever waits */
  detail: string
  /** 0…1 of the phase, where known */
  progress: number | null
  /** full id of the server's own model, while it answers */
  localVersion: string | null
  /** models that upstreams answer for */
  declaredModels: number
}

const UNDECLARED = {
  isReady: false,
  phase: 'undeclared',
  detail: 'No model is declared over an upstream yet, and there is no local one.',
  progress: null,
} as const
const DRAINING = {
  isReady: false,
  phase: 'draining',
  detail: 'The server is shutting down: running requests finish, new ones are refused.',
  progress: null,
} as const

export class Readiness {
  readonly #countDeclared: () => number
  /** null: there is to be none */
  #local: LocalModel | null = {
    phase: 'starting',
    detail: 'The server is starting.',
    progress: null,
    version: null,
    upstream: null,
  }
  /** models of the library that would be loaded when they are asked for */
  #libraryModels = 0
  #hasAnswered = false
  #isDraining = false

  /** @param countDeclared models that upstreams answer for at the moment */
  constructor(countDeclared: () => number = () => 0) {
    this.#countDeclared = countDeclared
  }

  get report(): ReadinessReport {
    const declaredModels = this.#countDeclared()
    const localVersion = this.#local?.upstream === null ? this.#local.version : null
    const has = { localVersion, declaredModels }
    if (this.#isDraining) return { ...DRAINING, ...has }
    const answering = declaredModels === 1 ? '1 model answers' : `${declaredModels} models answer`
    if (!this.#local) {
      if (declaredModels + this.#libraryModels === 0) return { ...UNDECLARED, ...has }
      const library =
        this.#libraryModels === 0
          ? 'there is no local one'
          : `${this.#libraryModels} of the library can be loaded`
      const detail = `${answering} over upstreams; ${library}.`
      return { isReady: true, phase: 'ready', detail, progress: 1, ...has }
    }
    const { phase, detail, progress, version } = this.#local
    if (version !== null) return { isReady: true, phase, detail, progress, ...has }
    const isReady = this.#hasAnswered && declaredModels > 0
    const told = isReady ? `${detail} Meanwhile ${answering} over upstreams.` : detail
    return { isReady, phase, detail: told, progress, ...has }
  }

  get isDraining(): boolean {
    return this.#isDraining
  }

  /** The server's model doesn't answer, and why: it is imported, loaded, or its engine can't be started. */
  wait(phase: 'starting' | 'preparing' | 'loading' | 'failed', detail: string, progress?: number) {
    this.#local = { phase, detail, progress: progress ?? null, version: null, upstream: null }
  }

  /**
   * @param version full id of the server's model, which answers
   * @param upstream that answers as it; absent: an engine does
   */
  ready(version: string, upstream: string | null = null) {
    this.#hasAnswered = true
    const over = upstream === null ? '' : ` over the upstream ${upstream}`
    const detail = `${version} answers${over}.`
    this.#local = { phase: 'ready', detail, progress: 1, version, upstream }
  }

  /**
   * The server is to bring no model of its own.
   *
   * @param libraryModels that are there all the same, and a runtime to load them
   */
  withoutLocal(libraryModels = 0) {
    this.#local = null
    this.#libraryModels = libraryModels
  }

  /** Whatever is told of the model later. */
  drain() {
    this.#isDraining = true
  }
}
