// What is declared as metrics: whether what the file and the tables say is what is in force.

import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'

export interface DeclaredStates {
  /** null where there is no file */
  fileState: () => { problem: string | null; reloads: number } | null
  storedState: () => { problems: string[]; isReachable: boolean }
  certificates: () => Iterable<{ upstream: string; endsMs: number }>
}

export function exposeDeclared(
  registers: Registry[],
  { fileState, storedState, certificates }: DeclaredStates,
): void {
  new Gauge({
    name: 'headrace_config_in_force',
    help: '1 where what headrace.yaml says is in force, or there is none; 0: it is broken, the last good one goes on, GET /admin/config says why.',
    registers,
    collect() {
      this.set(fileState()?.problem ? 0 : 1)
    },
  })
  new Counter({
    name: 'headrace_config_reloads_total',
    help: 'Times that headrace.yaml was read again, whether it could be used or not.',
    registers,
    collect() {
      this.reset()
      this.inc(fileState()?.reloads ?? 0)
    },
  })
  new Gauge({
    name: 'headrace_declared_problems',
    help: 'Upstreams and models of the admin API that are not in force; GET /admin/config says why.',
    registers,
    collect() {
      this.set(storedState().problems.length)
    },
  })
  new Gauge({
    name: 'headrace_declared_reachable',
    help: '0 while the tables of upstreams and models cannot be read: what was known goes on.',
    registers,
    collect() {
      this.set(Number(storedState().isReachable))
    },
  })
  new Gauge({
    name: 'headrace_upstream_certificate_expiry_timestamp_seconds',
    help: "Until when an upstream's certificate is good, of those that were asked over TLS. Less than two weeks ahead: whoever runs it forgot to renew it.",
    labelNames: ['upstream'],
    registers,
    collect() {
      this.reset()
      for (const { upstream, endsMs } of certificates()) this.set({ upstream }, endsMs / 1000)
    },
  })
}
