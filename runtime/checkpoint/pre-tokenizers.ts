// The pre-tokenizers that GGUF names in `tokenizer.ggml.pre`, in the words of tokenizer.json.
//
// GGUF stores a name where tokenizer.json stores regular expressions; a wrong guess changes every
// prompt and fails nowhere, so a name that is not here is refused. The expressions are those of the
// tokenizers the names stand for; `default` is what llama.cpp does with files from before there
// were names.
//
// Adding one: its expressions from the model's own tokenizer.json, and a test of what it splits.

import { CheckpointError } from './checkpoint.ts'

export interface PreTokenizer {
  preTokenizer: object
  normalizer: object | null
  /** a piece that is a token as it stands is taken without merging */
  ignoreMerges: boolean
  /** whether a prompt starts with the beginning-of-text token where the file does not say */
  addsBos: boolean
}

const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

const LLAMA3 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|" +
  ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'

const QWEN2 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|" +
  ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'

const TEKKEN =
  '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|' +
  '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|' +
  '\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'

const LLAMA_CPP_DEFAULT = ['[\\p{P}\\$\\+<=>\\^~\\|]+', GPT2, '\\p{N}+', '[0-9][0-9][0-9]']

const SUPPORTED: Record<string, PreTokenizer> = {
  default: byteLevel(LLAMA_CPP_DEFAULT),
  'gpt-2': byteLevel([GPT2]),
  // Every digit, of any script, is a piece of its own.
  smollm: byteLevel(['\\p{N}', GPT2]),
  'llama-bpe': byteLevel([LLAMA3], { ignoreMerges: true, addsBos: true }),
  llama3: byteLevel([LLAMA3], { ignoreMerges: true, addsBos: true }),
  'llama-v3': byteLevel([LLAMA3], { ignoreMerges: true, addsBos: true }),
  falcon3: byteLevel([LLAMA3], { ignoreMerges: true, addsBos: true }),
  qwen2: byteLevel([QWEN2], { normalizer: { type: 'NFC' } }),
  'deepseek-r1-qwen': byteLevel([QWEN2]),
  tekken: byteLevel([TEKKEN], { ignoreMerges: true, addsBos: true }),
}

/** @throws CheckpointError naming a pre-tokenizer that isn't known, and those that are */
export function preTokenizerNamed(name: string, path: string): PreTokenizer {
  const found = Object.hasOwn(SUPPORTED, name) ? SUPPORTED[name] : undefined
  if (found !== undefined) return found
  throw new CheckpointError(
    `tokenizer.ggml.pre in ${path} names the pre-tokenizer ${JSON.stringify(name)}; ` +
      `supported are ${Object.keys(SUPPORTED).join(', ')}`,
  )
}

/**
 * Splits by each expression in turn, then turns the pieces into the printable letters of byte-level
 * BPE.
 */
function byteLevel(
  expressions: string[],
  options: Partial<Omit<PreTokenizer, 'preTokenizer'>> = {},
): PreTokenizer {
  return {
    preTokenizer: {
      type: 'Sequence',
      pretokenizers: [
        ...expressions.map((expression) => ({
          type: 'Split',
          pattern: { Regex: expression },
          behavior: 'Isolated',
          invert: false,
        })),
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    normalizer: options.normalizer ?? null,
    ignoreMerges: options.ignoreMerges ?? false,
    addsBos: options.addsBos ?? false,
  }
}
