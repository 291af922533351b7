// Which device is to compute, and how it is written: `cpu`, `cuda`, `cuda:1`, `webgpu`.
//
// Knows: names. Does not know: what a device is, or whether it is there; so whoever has no native library, a gateway's image
// for one, can read them too.

import type { Device } from '../protocol.ts'

export interface DeviceChoice {
  kind: Device
  /** which of several, from 0 on */
  index: number
}

export const PROCESSOR: DeviceChoice = { kind: 'cpu', index: 0 }

/** @returns undefined where the text names no device */
export function parseDevice(text: string): DeviceChoice | undefined {
  const [, kind, index = '0'] = /^(cpu|webgpu|cuda(?=$|:))(?::(\d{1,2}))?$/.exec(text) ?? []
  if (kind === undefined || (kind !== 'cuda' && text !== kind)) return undefined
  return { kind: kind as Device, index: Number(index) }
}

export function formatDevice({ kind, index }: DeviceChoice): string {
  return kind === 'cuda' ? `cuda:${index}` : kind
}
