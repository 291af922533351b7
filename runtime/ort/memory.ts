// Page-aligned memory that JavaScript and ONNX Runtime share.
//
// It is mapped, not allocated: pages come into being, as zeros, when they are first written, so that a KV cache may be
// laid out for the longest context and only costs what is used.
//
// Hazard: V8 may move a small typed array of its own heap while native code reads it. Whatever native code holds an
// address of lives in memory of this kind.

import koffi from 'koffi'
import type { LibraryHandle } from 'koffi'

import type { NativeFunction, Pointer } from './api.ts'

export const PAGE_BYTES = 4096

const PROT_READ_WRITE = 3
const MAP_PRIVATE_ANONYMOUS_NORESERVE = 0x2 | 0x20 | 0x4000
const MAP_FAILED = 0xffff_ffff_ffff_ffffn

interface Libc {
  library: LibraryHandle
  mmap: NativeFunction
  munmap: NativeFunction
  madvise: NativeFunction
}

let libc: Libc | undefined

function loadLibc(): Libc {
  if (libc) return libc
  const library = koffi.load('libc.so.6')
  libc = {
    library,
    mmap: library.func('void *mmap(uintptr_t, size_t, int, int, int, int64_t)'),
    munmap: library.func('int munmap(uintptr_t, size_t)'),
    madvise: library.func('int madvise(uintptr_t, size_t, int)'),
  }
  return libc
}

/** There is not enough memory now; there may be later. */
export class OutOfMemory extends Error {
  override name = 'OutOfMemory'
}

export class NativeMemory {
  readonly address: Pointer
  readonly bytes: number
  readonly buffer: ArrayBuffer

  constructor(bytes: number) {
    this.bytes = Math.max(1, Math.ceil(bytes / PAGE_BYTES)) * PAGE_BYTES
    const pointer = loadLibc().mmap(
      0,
      this.bytes,
      PROT_READ_WRITE,
      MAP_PRIVATE_ANONYMOUS_NORESERVE,
      -1,
      0,
    ) as Pointer | null
    if (!pointer || pointer === MAP_FAILED) {
      throw new OutOfMemory(`the system refused to map ${this.bytes} bytes`)
    }
    this.address = pointer
    this.buffer = koffi.view(pointer, this.bytes)
  }

  free(): void {
    loadLibc().munmap(this.address, this.bytes)
  }
}
