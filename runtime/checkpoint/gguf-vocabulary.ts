// The vocabulary of a GGUF file: its tokens with their kinds, and the ids that have a role.
//
// Knows: the keys `tokenizer.ggml.*`. Does not know: how text is split or merged.

import { CheckpointError } from './checkpoint.ts'
import type { GgufFile } from './gguf.ts'
import type { MetadataValue } from './gguf-cursor.ts'

/** Numbers of `enum llama_token_type`. */
export const TOKEN_KIND = {
  normal: 1,
  unknown: 2,
  control: 3,
  userDefined: 4,
  unused: 5,
  byte: 6,
} as const

export interface Vocabulary {
  tokens: string[]
  /** one of TOKEN_KIND for each token */
  kinds: number[]
  /** roles that the file names */
  bos: number | null
  eos: number | null
  unknown: number | null
  padding: number | null
  /** ids that end a turn or a message: eos, eot, eom */
  ends: number[]
}

/** @throws CheckpointError naming the key that is missing or doesn't fit the others */
export function readVocabulary(file: GgufFile): Vocabulary {
  const tokens = stringList(file, 'tokenizer.ggml.tokens')
  const kinds = file.metadata.has('tokenizer.ggml.token_type')
    ? numberList(file, 'tokenizer.ggml.token_type')
    : tokens.map(() => TOKEN_KIND.normal)
  if (kinds.length !== tokens.length) {
    throw new CheckpointError(
      `${file.path} has ${tokens.length} tokens in tokenizer.ggml.tokens and ${kinds.length} kinds in tokenizer.ggml.token_type`,
    )
  }
  const eos = tokenId(file, 'eos', tokens)
  const ends = [eos, tokenId(file, 'eot', tokens), tokenId(file, 'eom', tokens)]
  return {
    tokens,
    kinds,
    bos: tokenId(file, 'bos', tokens),
    eos,
    unknown: tokenId(file, 'unknown', tokens),
    padding: tokenId(file, 'padding', tokens),
    ends: [...new Set(ends.filter((id) => id !== null))],
  }
}

/**
 * Token → id. Unused tokens (padding of the matrix) are left out where their text is taken.
 * @throws CheckpointError where two tokens are the same text: one of them could never be decoded
 */
export function tokenIds({ tokens, kinds }: Vocabulary, path: string): Map<string, number> {
  const ids = new Map<string, number>()
  for (const [id, token] of tokens.entries()) {
    const other = ids.get(token)
    if (other === undefined) ids.set(token, id)
    else if (kinds[id] !== TOKEN_KIND.unused) {
      throw new CheckpointError(
        `Tokens ${other} and ${id} in ${path} are both ${JSON.stringify(token)}`,
      )
    }
  }
  return ids
}

/** @throws CheckpointError where the key is missing or holds anything else */
export function stringList(file: GgufFile, key: string): string[] {
  const value = file.metadata.get(key)
  if (isListOf(value, (item) => typeof item === 'string')) return value
  throw new CheckpointError(
    `${key} in ${file.path} is ${describe(value)}; a list of strings is needed`,
  )
}

/** @throws CheckpointError where the key is missing or holds anything else */
export function numberList(file: GgufFile, key: string): number[] {
  const value = file.metadata.get(key)
  if (isListOf(value, (item) => typeof item === 'number')) return value
  throw new CheckpointError(
    `${key} in ${file.path} is ${describe(value)}; a list of numbers is needed`,
  )
}

function tokenId(file: GgufFile, role: string, tokens: string[]): number | null {
  const key = `tokenizer.ggml.${role}_token_id`
  const value = file.metadata.get(key)
  // Files write −1 or 2³² − 1 for "none".
  if (value === undefined || value === -1 || value === 0xffffffff) return null
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < tokens.length) {
    return value
  }
  throw new CheckpointError(
    `${key} in ${file.path} is ${String(value)}; the vocabulary has the ids 0 to ${tokens.length - 1}`,
  )
}

function isListOf<T extends MetadataValue>(
  value: MetadataValue | undefined,
  isItem: (item: MetadataValue) => item is T,
): value is T[] {
  return Array.isArray(value) && value.every(isItem)
}

function describe(value: MetadataValue | undefined): string {
  if (value === undefined) return 'missing'
  return Array.isArray(value) ? 'a list of something else' : `a ${typeof value}`
}
