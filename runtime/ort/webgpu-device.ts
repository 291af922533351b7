// A GPU of any maker, through ONNX Runtime's WebGPU provider, which speaks Vulkan here.
//
// Its buffers are handles and no addresses: a tensor is a whole one, and a stretch of it can't be the cache of one sequence
// among several. So there is one sequence at a time, whose keys and values stay where they are computed.
//
// Knows: the provider. Does not know: which GPU there is.

import { OrtError } from './api.ts'
import type { Ort, Pointer } from './api.ts'
import type { ComputeDevice, DeviceMemory } from './device.ts'
import type { DeviceChoice } from './device-choice.ts'
import { requireProvider } from './providers.ts'

export class WebGpuDevice implements ComputeDevice {
  readonly choice: DeviceChoice = { kind: 'webgpu', index: 0 }
  readonly mostSlots = 1
  readonly #ort: Ort
  readonly #where: Pointer

  /** @throws OrtError where the library has no such provider */
  constructor(ort: Ort) {
    requireProvider(ort, 'webgpu')
    this.#ort = ort
    // OrtDeviceAllocator is 0, and so is OrtMemTypeDefault.
    this.#where = ort.create('CreateMemoryInfo', 'WebGPU_Buf', 0, 0, 0)
  }

  addTo(sessionOptions: Pointer): void {
    try {
      this.#ort.call('SessionOptionsAppendExecutionProvider', sessionOptions, 'WebGPU', [], [], 0)
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new OrtError(`ONNX Runtime's WebGPU provider can't be used: ${reason}`, { cause })
    }
  }

  allocate(bytes: number, session: Pointer): DeviceMemory {
    return new BufferMemory(this.#ort, session, bytes, this.#where)
  }

  settle(): void {
    // Nothing of ours is copied behind our back.
  }

  freeBytes(): null {
    return null
  }
}

class BufferMemory implements DeviceMemory {
  readonly address: Pointer
  readonly where: Pointer
  readonly #ort: Ort
  readonly #allocator: Pointer

  constructor(ort: Ort, session: Pointer, bytes: number, where: Pointer) {
    this.#ort = ort
    this.where = where
    this.#allocator = ort.create('CreateAllocator', session, where)
    // The provider clears what it makes.
    this.address = ort.create('AllocatorAlloc', this.#allocator, bytes)
  }

  copyRows(): void {
    throw new Error('One sequence has nobody to copy from. This is a bug.')
  }

  free(): void {
    this.#ort.call('AllocatorFree', this.#allocator, this.address)
    this.#ort.release('ReleaseAllocator', this.#allocator)
  }
}
