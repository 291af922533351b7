// Places where a test may have the process die: at each step of a switch, as a power cut would.
//
// Where whoever starts the process names one of them (proofs do, by HEADRACE_FAULT_POINT), the process ends there by SIGKILL: nothing is flushed, nobody is told.

/** in the order in which a switch passes them */
export const FAULT_POINTS = [
  'after-attempt',
  'after-hold',
  'after-unload',
  'after-load',
  'before-commit',
  'after-commit',
  'after-refresh',
  'after-drain',
] as const
export type FaultPoint = (typeof FAULT_POINTS)[number]

/** @param armed HEADRACE_FAULT_POINT; null, as ever outside of tests: nothing happens */
export function createFaultPoints(armed: string | null): (point: FaultPoint) => void {
  return (point) => {
    if (point === armed) process.kill(process.pid, 'SIGKILL')
  }
}
