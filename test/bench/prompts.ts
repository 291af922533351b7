// Prompts of an exact number of tokens that nothing was computed of before.
//
// An engine keeps the keys and values of what it has answered and reuses them for prompts that begin alike, so each
// prompt here begins with a token that no other one of its run begins with; the rest is English prose.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { decoderOf } from '../../models/manifest.ts'
import type { StoredVersion } from '../../models/store.ts'
import { loadText } from '../../runtime/engine/text/text.ts'

const TEXT_FILE = join(import.meta.dirname, 'perplexity.txt')

// The first few hundred ids are marks and single bytes.
const FIRST_WORD = 1_000
// Has no factor in common with the lengths that occur, so that prompts begin all over the text.
const STRIDE = 37

export class Prompts {
  readonly #ids: readonly number[]
  readonly #vocabSize: number
  #count = 0

  constructor(ids: readonly number[], vocabSize: number) {
    this.#ids = ids
    this.#vocabSize = vocabSize
  }

  next(tokens: number): number[] {
    const first = FIRST_WORD + (this.#count % (this.#vocabSize - FIRST_WORD))
    const start = (this.#count * STRIDE) % (this.#ids.length - tokens)
    this.#count++
    return [first, ...this.#ids.slice(start, start + tokens - 1)]
  }

  several(count: number, tokens: number): number[][] {
    return Array.from({ length: count }, () => this.next(tokens))
  }
}

/** The fixed text as token ids of a version's own tokenizer. */
export async function readTextIds({ folder, manifest }: StoredVersion): Promise<number[]> {
  const text = await loadText(folder, decoderOf(manifest), manifest.contextLength)
  return text.encode({ kind: 'text', text: await readFile(TEXT_FILE, 'utf8') })
}
