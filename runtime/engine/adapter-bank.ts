// The adapters that rows of a batch may go through, in memory that the graph reads: for each layer one stack of all of them.
//
// Place 0 is all zeros, for rows without one. A stack grows to twice its places when it is full, and in ranks when an
// adapter has more than any before: both move it, and only between two calls. What is not written costs nothing.
//
// Knows: stacks and their tensors. Does not know: which version an adapter is, who uses it.

import type { Architecture } from '../../models/manifest.ts'
import { adaptedLayers } from '../graph/adapted-layers.ts'
import { adapterInput, GROUP } from '../graph/adapter-inputs.ts'
import type { PackedAdapter } from '../graph/packed-adapter.ts'
import { NativeMemory } from '../ort/memory.ts'
import type { Session, Tensor } from '../ort/session.ts'

interface Stack {
  name: string
  columns: number
  rows: number
  groups: number
  a: NativeMemory
  b: NativeMemory
}

const FIRST_PLACES = 4

export class AdapterBank {
  readonly #session: Session
  readonly #stacks: Stack[]
  #isTaken = [true]
  #places = FIRST_PLACES
  #tensors: Map<string, Tensor> | null = null
  /** changes whenever the tensors do */
  generation = 0

  constructor(session: Session, architecture: Architecture) {
    this.#session = session
    this.#stacks = adaptedLayers(architecture).map(({ name, columns, rows }) => ({
      name,
      columns,
      rows,
      groups: 1,
      ...allocate(columns, rows, 1, FIRST_PLACES),
    }))
  }

  /** @returns its place; @throws where a layer is of another shape */
  add(adapter: PackedAdapter): number {
    this.#check(adapter)
    let place = this.#isTaken.indexOf(false)
    if (place < 0) place = this.#isTaken.length
    const places = place < this.#places ? this.#places : this.#places * 2
    for (const stack of this.#stacks) {
      const layer = adapter.get(stack.name)
      const groups = Math.max(stack.groups, layer?.groups ?? 1)
      if (places !== this.#places || groups !== stack.groups) this.#resize(stack, groups, places)
      const { a, b } = cells(stack, place)
      a.fill(0)
      b.fill(0)
      if (layer) {
        a.set(layer.a)
        b.set(layer.b)
      }
    }
    this.#places = places
    this.#isTaken[place] = true
    this.#forget()
    return place
  }

  remove(place: number): void {
    this.#isTaken[place] = false
    while (this.#isTaken.at(-1) === false) this.#isTaken.pop()
    this.#forget()
  }

  /** Adds every stack to a call. */
  bind(inputs: Map<string, Tensor>): void {
    this.#tensors ??= new Map(this.#stacks.flatMap((stack) => this.#tensorsOf(stack)))
    for (const [name, tensor] of this.#tensors) inputs.set(name, tensor)
  }

  free(): void {
    this.#forget()
    for (const { a, b } of this.#stacks) {
      a.free()
      b.free()
    }
  }

  #check(adapter: PackedAdapter): void {
    const stacks = new Map(this.#stacks.map((stack) => [stack.name, stack]))
    for (const [name, { groups, a, b }] of adapter) {
      const stack = stacks.get(name)
      const isFitting =
        stack &&
        a.length === groups * stack.columns * GROUP &&
        b.length === groups * GROUP * stack.rows
      if (!isFitting) throw new Error(`The adapter's ${name} does not fit the base's layers`)
    }
  }

  #tensorsOf({ name, columns, rows, groups, a, b }: Stack): [string, Tensor][] {
    const count = this.#isTaken.length
    const session = this.#session
    return [
      [adapterInput(name, 'a'), session.tensor('f32', [count, groups, columns, GROUP], a.address)],
      [adapterInput(name, 'b'), session.tensor('f32', [count, groups * GROUP, rows], b.address)],
    ]
  }

  #resize(stack: Stack, groups: number, places: number): void {
    const old = { ...stack }
    Object.assign(stack, { groups, ...allocate(stack.columns, stack.rows, groups, places) })
    for (const place of this.#isTaken.keys()) {
      if (place === 0) continue
      const from = cells(old, place)
      const to = cells(stack, place)
      to.a.set(from.a)
      to.b.set(from.b)
    }
    old.a.free()
    old.b.free()
  }

  #forget(): void {
    for (const tensor of this.#tensors?.values() ?? []) this.#session.release(tensor)
    this.#tensors = null
    this.generation++
  }
}

function allocate(columns: number, rows: number, groups: number, places: number) {
  const bytes = 4 * groups * GROUP * places
  return { a: new NativeMemory(bytes * columns), b: new NativeMemory(bytes * rows) }
}

/** The values of one place, groups after groups. */
function cells({ columns, rows, groups, a, b }: Stack, place: number) {
  const part = (memory: NativeMemory, length: number) =>
    new Float32Array(memory.buffer, 4 * place * length, length)
  const ranks = groups * GROUP
  return { a: part(a, ranks * columns), b: part(b, ranks * rows) }
}
