// One loaded graph, and calls on it whose tensors were prepared once and are run many times.

import { ELEMENT } from './api.ts'
import type { ElementType, Ort, Pointer } from './api.ts'
import type { ComputeDevice, DeviceMemory } from './device.ts'
import { NativeMemory } from './memory.ts'

export interface SessionOptions {
  /** threads of one operator; the calling thread is one of them */
  threads: number
  /** what computes; absent: the processor */
  device?: ComputeDevice
  /** write an operator profile to files that start with this path */
  profile?: string
}

// How long a worker that ran out of work looks for more before it sleeps. A step is a thousand operators with a few
// microseconds between them, and waking a worker costs more than that; a gateway that wants the core waits no longer.
const SPIN_MICROSECONDS = 25

/** A tensor over memory that somebody else owns. */
export interface Tensor {
  value: Pointer
}

interface Port {
  name: string
  pointer: Pointer
}

export class Session {
  readonly #ort: Ort
  readonly #session: Pointer
  readonly #runOptions: Pointer
  readonly #inputs: Port[]
  readonly #outputs: Port[]

  /**
   * @param session one that is there already; absent: it is made, which takes seconds for large graphs
   * @throws OrtError the graph can't be read, or holds what this ONNX Runtime can't run
   */
  constructor(
    ort: Ort,
    file: string,
    options: SessionOptions,
    session: Pointer = create(ort, file, options),
  ) {
    this.#ort = ort
    this.#session = session
    this.#runOptions = ort.create('CreateRunOptions')
    this.#inputs = this.#ports('Input')
    this.#outputs = this.#ports('Output')
  }

  /** As the constructor, on a thread of its own: what runs in other sessions goes on. @throws OrtError */
  static async open(ort: Ort, file: string, options: SessionOptions): Promise<Session> {
    const settings = makeSettings(ort, options)
    try {
      const session = await ort.createAside('CreateSession', ort.env, file, settings)
      return new Session(ort, file, options, session)
    } finally {
      ort.release('ReleaseSessionOptions', settings)
    }
  }

  get inputs(): string[] {
    return this.#inputs.map((port) => port.name)
  }

  get outputs(): string[] {
    return this.#outputs.map((port) => port.name)
  }

  /**
   * A tensor of `shape` over memory that starts at `address`; it must outlive the tensor.
   * @param where whose memory it is; absent: this process's own, which calls copy to the device and back
   */
  tensor(
    type: ElementType,
    shape: number[],
    address: Pointer,
    where: Pointer = this.#ort.cpuMemory,
  ): Tensor {
    const elements = shape.reduce((product, extent) => product * extent, 1)
    const value = this.#ort.create(
      'CreateTensorWithDataAsOrtValue',
      where,
      address,
      elements * ELEMENT_BYTES[type],
      BigInt64Array.from(shape, BigInt),
      shape.length,
      ELEMENT[type],
    )
    return { value }
  }

  /** Memory of the device that this session's calls read and write. @throws OutOfMemory */
  allocate(device: ComputeDevice, bytes: number): DeviceMemory {
    return device.allocate(bytes, this.#session)
  }

  release(tensor: Tensor): void {
    this.#ort.release('ReleaseValue', tensor.value)
  }

  /** Prepares a call: every input, and those outputs that are wanted, by name. */
  prepare(inputs: Map<string, Tensor>, outputs: Map<string, Tensor>): PreparedCall {
    const wanted = this.#outputs.filter((port) => outputs.has(port.name))
    const value = (tensors: Map<string, Tensor>, port: Port) => {
      const tensor = tensors.get(port.name)
      if (!tensor) throw new Error(`the graph's ${port.name} has no tensor. This is a bug.`)
      return tensor.value
    }
    const given = this.#inputs
    const table = new NativeMemory(8 * 2 * (given.length + wanted.length))
    const cells = new BigUint64Array(table.buffer)
    let cell = 0
    const put = (pointers: Pointer[]) => {
      const address = table.address + BigInt(8 * cell)
      for (const pointer of pointers) cells[cell++] = pointer
      return address
    }
    return new PreparedCall(this.#ort, table, [
      this.#session,
      this.#runOptions,
      put(given.map((port) => port.pointer)),
      put(given.map((port) => value(inputs, port))),
      given.length,
      put(wanted.map((port) => port.pointer)),
      wanted.length,
      put(wanted.map((port) => value(outputs, port))),
    ])
  }

  /** Ends profiling and returns the profile's file. */
  endProfiling(): string {
    return this.#ort.string(
      this.#ort.create('SessionEndProfiling', this.#session, this.#ort.allocator),
    )
  }

  /** Releases the session. Most of its memory stays with the process: that is why engines are processes. */
  close(): void {
    this.#ort.release('ReleaseRunOptions', this.#runOptions)
    this.#ort.release('ReleaseSession', this.#session)
  }

  #ports(kind: 'Input' | 'Output'): Port[] {
    const count = Number(this.#ort.create(`SessionGet${kind}Count`, this.#session))
    return Array.from({ length: count }, (_, index) => {
      const pointer = this.#ort.create(
        `SessionGet${kind}Name`,
        this.#session,
        index,
        this.#ort.allocator,
      )
      return { pointer, name: this.#ort.string(pointer) }
    })
  }
}

function create(ort: Ort, file: string, options: SessionOptions): Pointer {
  const settings = makeSettings(ort, options)
  try {
    return ort.create('CreateSession', ort.env, file, settings)
  } finally {
    ort.release('ReleaseSessionOptions', settings)
  }
}

/** The caller's to release. */
function makeSettings(ort: Ort, { threads, profile, device }: SessionOptions): Pointer {
  const settings = ort.create('CreateSessionOptions')
  try {
    ort.call('SetIntraOpNumThreads', settings, threads)
    ort.call('SetInterOpNumThreads', settings, 1)
    const spin = String(SPIN_MICROSECONDS)
    ort.call('AddSessionConfigEntry', settings, 'session.intra_op.spin_duration_us', spin)
    if (profile) ort.call('EnableProfiling', settings, profile)
    device?.addTo(settings)
    return settings
  } catch (error) {
    ort.release('ReleaseSessionOptions', settings)
    throw error
  }
}

export const ELEMENT_BYTES: Record<ElementType, number> = {
  f32: 4,
  f16: 2,
  u8: 1,
  i8: 1,
  bool: 1,
  i32: 4,
  i64: 8,
}

export class PreparedCall {
  readonly #ort: Ort
  // the pointer tables of the call, kept as long as the call
  readonly #table: NativeMemory
  readonly #args: (Pointer | number)[]

  constructor(ort: Ort, table: NativeMemory, args: (Pointer | number)[]) {
    this.#ort = ort
    this.#table = table
    this.#args = args
  }

  /** Runs to the end on the calling thread and the session's workers. @throws OrtError */
  run(): void {
    this.#ort.call('Run', ...this.#args)
  }

  close(): void {
    this.#table.free()
  }
}
