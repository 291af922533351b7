// Small tokenizers of the two kinds there are, made on the spot.

import { Text } from '../../../runtime/engine/text/text.ts'
import type { TextSources } from '../../../runtime/engine/text/text.ts'

const MERGES = ['t h', 'th e', 'Ġ the', 'i n', 'Ġ a', 'e r', 'o n', 'h e', 'l l', 'he ll', 'hell o']

const TEMPLATE =
  "{% for message in messages %}{{ '<|start|>' + message['role'] + '\\n' + message['content'] + '<|end|>\\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|start|>assistant\\n' }}{% endif %}"

/** Byte-level BPE: 256 letters, some merges, three special tokens at the front. */
export function byteLevelSources(changes: Partial<TextSources> = {}): TextSources {
  const special = ['<|pad|>', '<|start|>', '<|end|>']
  const merged = MERGES.map((merge) => merge.replace(' ', ''))
  const names = [...special, ...letters(), ...new Set(merged)]
  return {
    tokenizer: {
      version: '1.0',
      added_tokens: special.map((content, id) => addedToken(id, content)),
      normalizer: null,
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
      post_processor: null,
      decoder: { type: 'ByteLevel' },
      model: { type: 'BPE', vocab: vocabulary(names), merges: MERGES },
    },
    config: { eos_token: '<|end|>', clean_up_tokenization_spaces: false },
    chatTemplate: TEMPLATE,
    bosTokenId: null,
    endTokenIds: [2],
    vocabSize: names.length,
    contextTokens: 4096,
    ...changes,
  }
}

/** SentencePiece's manner: ▁ for spaces, bytes as <0x00>, a space put in front, <s> put before that. */
export function sentencePieceSources(changes: Partial<TextSources> = {}): TextSources {
  const bytes = Array.from({ length: 256 }, (_, byte) => {
    return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`
  })
  const pieces = ['▁', 'h', 'e', 'l', 'o', 'w', 'r', 'd', '▁h', 'll', '▁w', 'é', '.']
  const names = ['<unk>', '<s>', '</s>', ...bytes, ...pieces]
  const special = ['<unk>', '<s>', '</s>']
  return {
    tokenizer: {
      version: '1.0',
      added_tokens: special.map((content, id) => addedToken(id, content)),
      normalizer: {
        type: 'Sequence',
        normalizers: [
          { type: 'Prepend', prepend: '▁' },
          { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
        ],
      },
      pre_tokenizer: null,
      post_processor: {
        type: 'TemplateProcessing',
        single: [
          { SpecialToken: { id: '<s>', type_id: 0 } },
          { Sequence: { id: 'A', type_id: 0 } },
        ],
        pair: [],
        special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
      },
      decoder: {
        type: 'Sequence',
        decoders: [
          { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
          { type: 'ByteFallback' },
          { type: 'Fuse' },
          { type: 'Strip', content: ' ', start: 1, stop: 0 },
        ],
      },
      model: {
        type: 'BPE',
        vocab: vocabulary(names),
        merges: ['▁ h', 'l l', '▁ w'],
        unk_token: '<unk>',
        byte_fallback: true,
      },
    },
    config: { bos_token: '<s>', eos_token: '</s>', clean_up_tokenization_spaces: false },
    chatTemplate: null,
    bosTokenId: 1,
    endTokenIds: [2],
    vocabSize: names.length,
    contextTokens: 4096,
    ...changes,
  }
}

export function byteLevelText(changes: Partial<TextSources> = {}): Text {
  return new Text(byteLevelSources(changes))
}

export function sentencePieceText(changes: Partial<TextSources> = {}): Text {
  return new Text(sentencePieceSources(changes))
}

/** GPT-2's letter of each byte, written down independently: where bytes are not printable, from U+0100 on. */
function letters(): string[] {
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => {
    const isPlain =
      (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255)
    return String.fromCharCode(isPlain ? byte : next++)
  })
}

function addedToken(id: number, content: string) {
  return { id, content, special: true, single_word: false, lstrip: false, rstrip: false }
}

function vocabulary(names: readonly string[]): Record<string, number> {
  return Object.fromEntries(names.map((name, id) => [name, id]))
}
