// Whether this process can serve, and until then how far it is: what the composition root sets and /readyz tells.
//
// Knows: phases. Does not know: what happens in them.

/** what is going on before the first request can be served */
type Phase = 'starting' | 'preparing' | 'loading' | 'ready' | 'failed' | 'draining'

export interface ReadinessReport {
  isReady: boolean
  phase: Phase
  /** one sentence for whoever waits */
  detail: string
  /** 0…1 of the phase, where known */
  progress: number | null
}

export class Readiness {
  #report: ReadinessReport = {
    isReady: false,
    phase: 'starting',
    detail: 'The server is starting.',
    progress: null,
  }

  get report(): ReadinessReport {
    return this.#report
  }

  get isDraining(): boolean {
    return this.#report.phase === 'draining'
  }

  /** Not ready, and why: importing a model, loading it, or an engine that can't be started. */
  wait(phase: 'starting' | 'preparing' | 'loading' | 'failed', detail: string, progress?: number) {
    this.#set({ isReady: false, phase, detail, progress: progress ?? null })
  }

  ready(detail: string) {
    this.#set({ isReady: true, phase: 'ready', detail, progress: 1 })
  }

  drain() {
    this.#set({
      isReady: false,
      phase: 'draining',
      detail: 'The server is shutting down: running requests finish, new ones are refused.',
      progress: null,
    })
  }

  #set(report: ReadinessReport) {
    // A load that ends late must not make a server that shuts down look ready.
    if (!this.isDraining) this.#report = report
  }
}
