// What computes, and where the memory is that stays with it between two calls.
//
// Small inputs and outputs of a call (token ids, the candidates of a row) lie in this process's memory whatever the device
// is: ONNX Runtime copies them over and back. What is large and is used again, the KV cache, lies in the device's own.
//
// Knows: memory, and how a session is told. Does not know: graphs, slots.
//
// Adding a device: a kind in runtime/protocol.ts, its pattern in device-choice.ts, a ComputeDevice, a line in openDevice.

import type { Ort, Pointer } from './api.ts'
import { CpuDevice } from './cpu-device.ts'
import { CudaDevice } from './cuda-device.ts'
import { WebGpuDevice } from './webgpu-device.ts'
import type { DeviceChoice } from './device-choice.ts'

export interface ComputeDevice {
  readonly choice: DeviceChoice
  /** Has a session that is made with these options compute here. @throws OrtError saying what is missing */
  addTo(sessionOptions: Pointer): void
  /** sequences that it can hold side by side; null: as many as there is memory for */
  readonly mostSlots: number | null
  /** Memory of zeros that a session's calls read and write. @throws OutOfMemory */
  allocate(bytes: number, session: Pointer): DeviceMemory
  /** Waits until what was copied is there. */
  settle(): void
  /** what is left of the device's own memory; null: the machine's memory is all there is */
  freeBytes(): number | null
}

export interface DeviceMemory {
  readonly address: Pointer
  /** whose memory it is, as Session.tensor takes it */
  readonly where: Pointer
  copyRows(copy: RowCopy): void
  free(): void
}

/** `rows` stretches of `rowBytes`, each `strideBytes` behind the one before it. */
export interface RowCopy {
  /** where the first stretch begins, and where it goes, in bytes; stretches don't overlap */
  from: number
  to: number
  rows: number
  rowBytes: number
  strideBytes: number
}

/** @throws OrtError saying what is missing */
export function openDevice(ort: Ort, choice: DeviceChoice): ComputeDevice {
  switch (choice.kind) {
    case 'cpu':
      return new CpuDevice(ort)
    case 'cuda':
      return new CudaDevice(ort, choice.index)
    case 'webgpu':
      return new WebGpuDevice(ort)
  }
}
