// A GPU of NVIDIA's, through ONNX Runtime's CUDA provider.
//
// The provider is a library beside ONNX Runtime's own, which in turn wants CUDA's and cuDNN's. Any of them may be missing;
// what is, is said here in the words of the loader, and in full by `headrace runtime doctor`.

import { OrtError } from './api.ts'
import type { Ort, Pointer } from './api.ts'
import { Cudart, CUDART_LIBRARIES } from './cudart.ts'
import type { ComputeDevice, DeviceMemory, RowCopy } from './device.ts'
import type { DeviceChoice } from './device-choice.ts'
import { requireProvider } from './providers.ts'
import { firstThatLoads } from './shared-library.ts'

// [option of the provider, value]
const OPTIONS = [
  // What an arena takes it keeps; twice of what was asked for is not there beside a KV cache that takes what it can.
  ['arena_extend_strategy', 'kSameAsRequested'],
  // Sums of squares in half precision overflow where a model has features that stand out.
  ['enable_skip_layer_norm_strict_mode', '1'],
] as const

export class CudaDevice implements ComputeDevice {
  readonly choice: DeviceChoice
  readonly mostSlots = null
  readonly #ort: Ort
  readonly #cudart: Cudart
  readonly #where: Pointer

  /** @throws OrtError saying what is missing */
  constructor(ort: Ort, index: number, cudartFile?: string) {
    this.choice = { kind: 'cuda', index }
    this.#ort = ort
    this.#cudart = openCudart(index, cudartFile)
    // OrtDeviceAllocator is 0, and so is OrtMemTypeDefault.
    this.#where = ort.create('CreateMemoryInfo', 'Cuda', 0, index, 0)
  }

  addTo(sessionOptions: Pointer): void {
    const ort = this.#ort
    requireProvider(ort, 'cuda')
    const options: [name: string, value: string][] = [
      ['device_id', String(this.choice.index)],
      ...OPTIONS.map(([name, value]): [string, string] => [name, value]),
    ]
    const names = options.map(([name]) => name)
    const values = options.map(([, value]) => value)
    try {
      const provider = ort.create('CreateCUDAProviderOptions')
      try {
        ort.call('UpdateCUDAProviderOptions', provider, names, values, names.length)
        ort.call('SessionOptionsAppendExecutionProvider_CUDA_V2', sessionOptions, provider)
      } finally {
        ort.release('ReleaseCUDAProviderOptions', provider)
      }
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new OrtError(
        `ONNX Runtime's CUDA provider can't be used: ${reason} \`headrace runtime doctor\` says what is missing.`,
        { cause },
      )
    }
  }

  allocate(bytes: number): DeviceMemory {
    return new CudaMemory(this.#cudart, bytes, this.#where)
  }

  settle(): void {
    this.#cudart.synchronise()
  }

  freeBytes(): number {
    return this.#cudart.freeBytes()
  }
}

class CudaMemory implements DeviceMemory {
  readonly address: Pointer
  readonly where: Pointer
  readonly #cudart: Cudart

  constructor(cudart: Cudart, bytes: number, where: Pointer) {
    this.#cudart = cudart
    this.address = cudart.allocate(bytes)
    this.where = where
  }

  copyRows({ from, to, rows, rowBytes, strideBytes }: RowCopy): void {
    const at = (offset: number) => this.address + BigInt(offset)
    this.#cudart.copyRows(at(from), at(to), rows, rowBytes, strideBytes)
  }

  free(): void {
    this.#cudart.free(this.address)
  }
}

function openCudart(index: number, file?: string): Cudart {
  const found = file ?? firstThatLoads(CUDART_LIBRARIES)
  if (found === undefined) {
    throw new OrtError(
      `None of ${CUDART_LIBRARIES.join(', ')} can be loaded. \`headrace runtime doctor\` says what is missing.`,
    )
  }
  try {
    return new Cudart(index, found)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new OrtError(`cuda:${index} can't be used: ${reason}`, { cause })
  }
}
