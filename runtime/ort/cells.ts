// A typed view of native memory, with its address: what a tensor's values are written through and read from.

import { NativeMemory } from './memory.ts'

export class Cells<View extends ArrayBufferView> {
  readonly view: View
  readonly address: bigint
  // keeps the mapping's owner reachable as long as the view
  readonly memory: NativeMemory

  constructor(bytes: number, View: new (buffer: ArrayBuffer) => View) {
    this.memory = new NativeMemory(bytes)
    this.view = new View(this.memory.buffer)
    this.address = this.memory.address
  }
}
