// A tokenizer in Hugging Face's format (tokenizer.json, tokenizer_config.json) from the metadata of
// a GGUF file.
//
// Two kinds are supported, by the names that `tokenizer.ggml.model` gives them: `gpt2`, byte-level
// BPE with its merges, and `llama`, SentencePiece BPE with scores. Control tokens become special
// added tokens, user-defined ones plain added tokens.
//
// Knows: ggml's tokenizer keys and tokenizer.json. Does not know: tensors, how text is tokenised.

import type { SamplingDefaults } from '../../models/manifest.ts'
import { CheckpointError } from './checkpoint.ts'
import type { CheckpointTokenizer } from './checkpoint.ts'
import { turnEndIds } from './end-tokens.ts'
import { Fields, show } from './fields.ts'
import type { GgufFile } from './gguf.ts'
import { numberList, readVocabulary, stringList, TOKEN_KIND, tokenIds } from './gguf-vocabulary.ts'
import type { Vocabulary } from './gguf-vocabulary.ts'
import { preTokenizerNamed } from './pre-tokenizers.ts'
import { readSampling } from './sampling-defaults.ts'
import { mergesFromScores, sentencePiecePipeline } from './sentencepiece.ts'

interface AddedToken {
  id: number
  content: string
  special: boolean
  single_word: boolean
  lstrip: boolean
  rstrip: boolean
  normalized: boolean
}

/** What the two kinds differ in. */
interface Kind {
  normalizer: object | null
  pre_tokenizer: object | null
  decoder: object
  model: object
  addsBos: boolean
}

/** @throws CheckpointError naming the key that is missing, contradictory or unsupported */
export function readGgufTokenizer(file: GgufFile): CheckpointTokenizer {
  const fields = new Fields(file.path, (key) => file.metadata.get(key))
  const vocabulary = readVocabulary(file)
  const { addsBos, ...kind } = readKind(file, fields, vocabulary)
  const chatTemplate = fields.text('tokenizer.chat_template')
  const added = addedTokens(vocabulary)
  const bosAdded = fields.flag('tokenizer.ggml.add_bos_token', addsBos)
  const eosAdded = fields.flag('tokenizer.ggml.add_eos_token', false)
  const sampling: SamplingDefaults = readSampling(fields, {
    temperature: 'general.sampling.temp',
    topK: 'general.sampling.top_k',
    topP: 'general.sampling.top_p',
    minP: 'general.sampling.min_p',
    repetitionPenalty: 'general.sampling.penalty_repeat',
  })
  fields.check()
  const text = (id: number | null) => (id === null ? null : vocabulary.tokens[id]!)
  return {
    json: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: added,
      normalizer: kind.normalizer,
      pre_tokenizer: kind.pre_tokenizer,
      post_processor: postProcessor(
        vocabulary,
        bosAdded ? vocabulary.bos : null,
        eosAdded ? vocabulary.eos : null,
      ),
      decoder: kind.decoder,
      model: kind.model,
    },
    config: {
      tokenizer_class: 'PreTrainedTokenizerFast',
      bos_token: text(vocabulary.bos),
      eos_token: text(vocabulary.eos),
      unk_token: text(vocabulary.unknown),
      pad_token: text(vocabulary.padding),
      add_bos_token: bosAdded,
      add_eos_token: eosAdded,
      clean_up_tokenization_spaces: false,
      ...(chatTemplate === null ? {} : { chat_template: chatTemplate }),
    },
    bosTokenId: vocabulary.bos,
    endTokenIds: [...new Set([...vocabulary.ends, ...turnEndIds(chatTemplate, idsOf(added))])].sort(
      (a, b) => a - b,
    ),
    chatTemplate,
    sampling,
  }
}

function readKind(file: GgufFile, fields: Fields, vocabulary: Vocabulary): Kind {
  const model = file.metadata.get('tokenizer.ggml.model')
  if (model === 'gpt2') return readByteLevel(file, fields, vocabulary)
  if (model === 'llama') return readSentencePiece(file, fields, vocabulary)
  throw new CheckpointError(
    `tokenizer.ggml.model in ${file.path} is ${show(model)}; ` +
      `supported are gpt2 (byte-level BPE) and llama (SentencePiece BPE)`,
  )
}

function readByteLevel(file: GgufFile, fields: Fields, vocabulary: Vocabulary): Kind {
  const name = fields.text('tokenizer.ggml.pre') ?? 'default'
  const { normalizer, preTokenizer, ignoreMerges, addsBos } = preTokenizerNamed(name, file.path)
  const merges = stringList(file, 'tokenizer.ggml.merges').map((merge, index) => {
    // The letter for a space is Ġ, so the first space after the first letter is the one between the
    // two parts.
    const cut = merge.indexOf(' ', 1)
    if (cut > 0 && cut < merge.length - 1) return [merge.slice(0, cut), merge.slice(cut + 1)]
    throw new CheckpointError(
      `Merge ${index} in ${file.path} is ${JSON.stringify(merge)}; needed are two parts with a space between`,
    )
  })
  return {
    normalizer,
    pre_tokenizer: preTokenizer,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: ignoreMerges,
      // Added tokens stay in: Hugging Face's own library numbers those anew that the model does not
      // know.
      vocab: Object.fromEntries(tokenIds(vocabulary, file.path)),
      merges,
    },
    addsBos,
  }
}

function readSentencePiece(file: GgufFile, fields: Fields, vocabulary: Vocabulary): Kind {
  const { tokens, kinds, unknown } = vocabulary
  const scores = numberList(file, 'tokenizer.ggml.scores')
  if (scores.length !== tokens.length) {
    throw new CheckpointError(
      `${file.path} has ${tokens.length} tokens in tokenizer.ggml.tokens and ${scores.length} scores in tokenizer.ggml.scores`,
    )
  }
  const ids = tokenIds(vocabulary, file.path)
  const mergeable = new Map<string, number>()
  for (const [token, id] of ids) {
    if (kinds[id] === TOKEN_KIND.normal) mergeable.set(token, scores[id]!)
  }
  return {
    ...sentencePiecePipeline(fields.flag('tokenizer.ggml.add_space_prefix', true)),
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: unknown === null ? null : tokens[unknown]!,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab: Object.fromEntries(ids),
      merges: mergesFromScores(mergeable, ids),
    },
    addsBos: true,
  }
}

function isAdded(kind: number): boolean {
  return (
    kind === TOKEN_KIND.control || kind === TOKEN_KIND.userDefined || kind === TOKEN_KIND.unknown
  )
}

function addedTokens({ tokens, kinds }: Vocabulary): AddedToken[] {
  return tokens.flatMap((content, id) => {
    // An empty token can't be found in any text.
    if (!isAdded(kinds[id]!) || content === '') return []
    return [
      {
        id,
        content,
        special: kinds[id] !== TOKEN_KIND.userDefined,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
      },
    ]
  })
}

function idsOf(added: AddedToken[]): Map<string, number> {
  return new Map(added.map(({ content, id }) => [content, id]))
}

/** Puts the tokens that open and close a text around it. */
function postProcessor(
  { tokens }: Vocabulary,
  bos: number | null,
  eos: number | null,
): object | null {
  if (bos === null && eos === null) return null
  const around = (sequence: 'A' | 'B', type: number) => [
    ...(bos === null ? [] : [{ SpecialToken: { id: tokens[bos]!, type_id: type } }]),
    { Sequence: { id: sequence, type_id: type } },
    ...(eos === null ? [] : [{ SpecialToken: { id: tokens[eos]!, type_id: type } }]),
  ]
  const special = [bos, eos]
    .filter((id) => id !== null)
    .map((id) => [tokens[id]!, { id: tokens[id]!, ids: [id], tokens: [tokens[id]!] }])
  return {
    type: 'TemplateProcessing',
    single: around('A', 0),
    pair: [...around('A', 0), ...around('B', 1)],
    special_tokens: Object.fromEntries(special),
  }
}
