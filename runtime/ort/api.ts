// The one door to ONNX Runtime: its C API, called through koffi in the library that the npm package ships.
//
// The API is a table of function pointers whose order never changes (it only grows), so a function is a position and a
// signature; only what the engine needs is named. A call that fails gives back a status, which becomes an OrtError.
//
// Why not onnxruntime-node's own `run()`: it copies every output into a new tensor, so that its cost grows with the
// capacity of the KV cache, and past and present can't be the same memory. Through the C API a call's overhead is under
// 1 % of a decode step.
//
// Knows: the ABI. Does not know: models, slots, tokens.

import { createRequire } from 'node:module'
import path from 'node:path'

import koffi from 'koffi'
import type { KoffiFunc, LibraryHandle } from 'koffi'

/** Element types of tensors: ONNX's own numbers. */
export const ELEMENT = { f32: 1, u8: 2, i8: 3, i32: 6, i64: 7, bool: 9, f16: 10 } as const
export type ElementType = keyof typeof ELEMENT

/** An address in native memory: an OrtValue, a session, a buffer. */
export type Pointer = bigint

// The table's version that is asked for. Every position below exists since; newer libraries serve older versions.
const API_VERSION = 20

// What the library reads from the environment when it is loaded; node:process hands assignments on to it.
const LIBRARY_ENVIRONMENT = {
  // It would report use to its maker over the network. Nothing leaves the building.
  ORT_DISABLE_TELEMETRY: '1',
  // Its tiled attention is the slower one for prompts that come in chunks: 21 to 33 % of prefill at 256 to 512 tokens.
  ORT_GQA_DISABLE_FLASH_ATTENTION: '1',
  // GPUs are numbered as the driver's own tool numbers them, and not the fastest first.
  CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
}

// koffi runs the callee on a stack of its own; its default of 1 MiB is small for ONNX Runtime's kernels, and 128 KiB, that of
// calls on a thread of their own, crashes at once.
const STACK_BYTES = 8 << 20

// [position in the table, result and parameters as koffi reads them]. `_Out_ void**` is given back as the result.
const FUNCTIONS = {
  GetErrorMessage: [2, 'str', 'void*'],
  CreateEnv: [3, 'void*', 'int, str, _Out_ void**'],
  CreateSession: [7, 'void*', 'void*, str, void*, _Out_ void**'],
  Run: [9, 'void*', 'void*, void*, void*, void*, size_t, void*, size_t, void*'],
  CreateSessionOptions: [10, 'void*', '_Out_ void**'],
  EnableProfiling: [14, 'void*', 'void*, str'],
  SetSessionGraphOptimizationLevel: [23, 'void*', 'void*, int'],
  SetIntraOpNumThreads: [24, 'void*', 'void*, int'],
  SetInterOpNumThreads: [25, 'void*', 'void*, int'],
  SessionGetInputCount: [30, 'void*', 'void*, _Out_ size_t*'],
  SessionGetOutputCount: [31, 'void*', 'void*, _Out_ size_t*'],
  SessionGetInputName: [36, 'void*', 'void*, size_t, void*, _Out_ void**'],
  SessionGetOutputName: [37, 'void*', 'void*, size_t, void*, _Out_ void**'],
  CreateRunOptions: [39, 'void*', '_Out_ void**'],
  CreateTensorWithDataAsOrtValue: [
    49,
    'void*',
    'void*, void*, size_t, void*, size_t, int, _Out_ void**',
  ],
  CreateMemoryInfo: [68, 'void*', 'str, int, int, int, _Out_ void**'],
  CreateCpuMemoryInfo: [69, 'void*', 'int, int, _Out_ void**'],
  AllocatorAlloc: [75, 'void*', 'void*, size_t, _Out_ void**'],
  AllocatorFree: [76, 'void*', 'void*, void*'],
  GetAllocatorWithDefaultOptions: [78, 'void*', '_Out_ void**'],
  ReleaseStatus: [93, 'void', 'void*'],
  ReleaseSession: [95, 'void', 'void*'],
  ReleaseValue: [96, 'void', 'void*'],
  ReleaseRunOptions: [97, 'void', 'void*'],
  ReleaseSessionOptions: [100, 'void', 'void*'],
  SessionEndProfiling: [110, 'void*', 'void*, void*, _Out_ void**'],
  GetAvailableProviders: [125, 'void*', '_Out_ void**, _Out_ int*'],
  ReleaseAvailableProviders: [126, 'void*', 'void*, int'],
  AddSessionConfigEntry: [130, 'void*', 'void*, str, str'],
  CreateAllocator: [131, 'void*', 'void*, void*, _Out_ void**'],
  ReleaseAllocator: [132, 'void', 'void*'],
  SessionOptionsAppendExecutionProvider_CUDA_V2: [204, 'void*', 'void*, void*'],
  CreateCUDAProviderOptions: [205, 'void*', '_Out_ void**'],
  UpdateCUDAProviderOptions: [206, 'void*', 'void*, const char**, const char**, size_t'],
  ReleaseCUDAProviderOptions: [208, 'void', 'void*'],
  SessionOptionsAppendExecutionProvider: [
    216,
    'void*',
    'void*, str, const char**, const char**, size_t',
  ],
} as const satisfies Record<string, readonly [number, string, string]>

export type NativeFunction = KoffiFunc<(...args: unknown[]) => unknown>

type FunctionName = keyof typeof FUNCTIONS
type Argument = Pointer | number | string | BigInt64Array | string[]

/** A call that ONNX Runtime refused or that failed; the message is its own. */
export class OrtError extends Error {
  override name = 'OrtError'
}

export class Ort {
  /** where the library lies */
  readonly file: string
  readonly version: string
  readonly env: Pointer
  readonly cpuMemory: Pointer
  readonly allocator: Pointer
  // Referenced for ever: a collected library object unloads the library under the running call.
  readonly #library: LibraryHandle
  readonly #functions: Record<FunctionName, NativeFunction>

  constructor(libraryFile: string) {
    this.file = libraryFile
    this.#library = load(libraryFile)
    const base = this.#library.func('void *OrtGetApiBase()')() as Pointer
    const getApi = koffi.decode(base, 0, 'void *') as Pointer
    const table = koffi.call(
      getApi,
      koffi.proto('void *GetApi(uint32_t)'),
      API_VERSION,
    ) as Pointer | null
    if (!table) {
      throw new OrtError(`${libraryFile} does not serve version ${API_VERSION} of the C API`)
    }
    const getVersion = koffi.decode(base, 8, 'void *') as Pointer
    this.version = koffi.call(getVersion, koffi.proto('str GetVersionString()')) as string
    this.#functions = Object.fromEntries(
      Object.entries(FUNCTIONS).map(([name, [position, result, parameters]]) => [
        name,
        koffi.decode(
          koffi.decode(table, position * 8, 'void *'),
          koffi.proto(`${result} ${name}(${parameters})`),
        ),
      ]),
    ) as Record<FunctionName, NativeFunction>
    // 2 is WARNING's level less one: errors reach stderr, the optimiser's remarks do not.
    this.env = this.create('CreateEnv', 3, 'headrace')
    this.cpuMemory = this.create('CreateCpuMemoryInfo', 1, 0)
    this.allocator = this.create('GetAllocatorWithDefaultOptions')
  }

  /** Calls a function that returns a status only. @throws OrtError */
  call(name: FunctionName, ...args: Argument[]): void {
    this.#check(name, this.#get(name, ...args))
  }

  /** Calls a function whose last parameter is a result, and returns it. @throws OrtError */
  create(name: FunctionName, ...args: Argument[]): Pointer {
    const out: (Pointer | null)[] = [null]
    this.#check(name, this.#get(name, ...args, out))
    return resultOf(name, out)
  }

  /** As create, on a thread of its own. @throws OrtError */
  async createAside(name: FunctionName, ...args: Argument[]): Promise<Pointer> {
    const out: (Pointer | null)[] = [null]
    const { promise, resolve, reject } = Promise.withResolvers<Pointer | null>()
    this.#functions[name].async(...args, out, (error: unknown, status: unknown) =>
      error ? reject(error) : resolve(status as Pointer | null),
    )
    this.#check(name, await promise)
    return resultOf(name, out)
  }

  release(name: FunctionName, pointer: Pointer): void {
    this.#functions[name](pointer)
  }

  /** Execution providers that the library was built with; those of libraries beside it may be missing all the same. */
  providers(): string[] {
    const names: (Pointer | null)[] = [null]
    const counts = [0]
    this.#check('GetAvailableProviders', this.#get('GetAvailableProviders', names, counts))
    const [table, count] = [names[0], counts[0]]
    if (!table || !count) throw new OrtError('GetAvailableProviders gave nothing. This is a bug.')
    const providers = Array.from({ length: count }, (_, index) =>
      this.string(koffi.decode(table, index * 8, 'void *') as Pointer),
    )
    this.call('ReleaseAvailableProviders', table, count)
    return providers
  }

  /** A NUL-terminated string at an address. */
  string(pointer: Pointer): string {
    return koffi.decode.string(pointer)
  }

  #get(name: FunctionName, ...args: unknown[]): Pointer | null {
    return this.#functions[name](...args) as Pointer | null
  }

  #check(name: FunctionName, status: Pointer | null): void {
    if (!status) return
    const message = this.#functions.GetErrorMessage(status) as string
    this.#functions.ReleaseStatus(status)
    throw new OrtError(`${name}: ${message}`)
  }
}

function resultOf(name: FunctionName, [result]: (Pointer | null)[]): Pointer {
  if (result) return result
  throw new OrtError(`${name} gave nothing. This is a bug.`)
}

function load(libraryFile: string): LibraryHandle {
  try {
    return koffi.load(libraryFile)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new OrtError(`ONNX Runtime can't be loaded from ${libraryFile}: ${reason}`, { cause })
  }
}

let loaded: { file: string; ort: Ort } | undefined

/**
 * Loads the library once for the process.
 * @param libraryFile another build of ONNX Runtime (CUDA, OpenVINO, …); absent: the CPU library of onnxruntime-node
 */
export function loadOrt(libraryFile: string = bundledLibrary()): Ort {
  if (loaded) {
    if (loaded.file !== libraryFile) {
      throw new OrtError(`${loaded.file} is loaded already; a process takes one ONNX Runtime`)
    }
    return loaded.ort
  }
  // oxlint-disable-next-line node/no-process-env -- written, not read: this is how the library is told
  Object.assign(process.env, LIBRARY_ENVIRONMENT)
  const config = koffi.config()
  // It can't be changed behind the first library, which may have been one that could not be used.
  if (config.sync_stack_size !== STACK_BYTES) {
    koffi.config({ ...config, sync_stack_size: STACK_BYTES, async_stack_size: STACK_BYTES })
  }
  loaded = { file: libraryFile, ort: new Ort(libraryFile) }
  return loaded.ort
}

/** The library that comes with the package. */
function bundledLibrary(): string {
  const main = createRequire(import.meta.url).resolve('onnxruntime-node')
  const folder = path.join(
    path.dirname(main),
    '..',
    'bin',
    'napi-v6',
    process.platform,
    process.arch,
  )
  const file = {
    linux: 'libonnxruntime.so.1',
    darwin: 'libonnxruntime.1.dylib',
    win32: 'onnxruntime.dll',
  }
  const name = file[process.platform as keyof typeof file]
  if (!name) throw new OrtError(`onnxruntime-node ships no library for ${process.platform}`)
  return path.join(folder, name)
}
