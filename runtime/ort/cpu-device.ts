// The processor: its memory is this process's own, mapped so that what is not written costs nothing.

import type { Ort, Pointer } from './api.ts'
import type { ComputeDevice, DeviceMemory, RowCopy } from './device.ts'
import type { DeviceChoice } from './device-choice.ts'
import { NativeMemory } from './memory.ts'

export class CpuDevice implements ComputeDevice {
  readonly choice: DeviceChoice = { kind: 'cpu', index: 0 }
  readonly mostSlots = null
  readonly #ort: Ort

  constructor(ort: Ort) {
    this.#ort = ort
  }

  addTo(): void {
    // Every session computes here where it is told nothing else.
  }

  allocate(bytes: number): DeviceMemory {
    return new HostMemory(bytes, this.#ort.cpuMemory)
  }

  settle(): void {
    // Nothing is copied behind our back.
  }

  freeBytes(): null {
    return null
  }
}

/** Memory of this process, for devices that read it or have it copied. */
class HostMemory implements DeviceMemory {
  readonly where: Pointer
  readonly #memory: NativeMemory

  constructor(bytes: number, where: Pointer) {
    this.where = where
    this.#memory = new NativeMemory(bytes)
  }

  get address(): Pointer {
    return this.#memory.address
  }

  copyRows({ from, to, rows, rowBytes, strideBytes }: RowCopy): void {
    const bytes = new Uint8Array(this.#memory.buffer)
    for (let row = 0; row < rows; row++) {
      const source = from + row * strideBytes
      bytes.copyWithin(to + row * strideBytes, source, source + rowBytes)
    }
  }

  free(): void {
    this.#memory.free()
  }
}
