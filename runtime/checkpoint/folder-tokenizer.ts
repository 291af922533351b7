// The tokenizer of a folder with a Hugging Face checkpoint: its files as they are, and what they
// say about ends of turns, the chat template and sampling.
//
// Knows: tokenizer.json, tokenizer_config.json, special_tokens_map.json, generation_config.json,
// chat_template.*.
// Does not know: tensors, how text is tokenised.

import { join } from 'node:path'

import { CheckpointError } from './checkpoint.ts'
import type { CheckpointTokenizer } from './checkpoint.ts'
import { turnEndIds } from './end-tokens.ts'
import { Fields } from './fields.ts'
import { isRecord, readJson, readJsonIfThere, readTextIfThere } from './json-file.ts'
import type { JsonRecord } from './json-file.ts'
import { readSampling } from './sampling-defaults.ts'

const TOKENIZER = 'tokenizer.json'
const TOKENIZER_CONFIG = 'tokenizer_config.json'
const GENERATION_CONFIG = 'generation_config.json'

/** @throws CheckpointError naming the file and field that is missing or contradictory */
export async function readFolderTokenizer(
  folder: string,
  modelConfig: JsonRecord,
): Promise<CheckpointTokenizer> {
  const json = await readJson(
    folder,
    TOKENIZER,
    "the tokenizer in Hugging Face's fast format is needed (a tokenizer.model alone can be converted with transformers)",
  )
  const config = (await readJsonIfThere(folder, TOKENIZER_CONFIG)) ?? {}
  const special = (await readJsonIfThere(folder, 'special_tokens_map.json')) ?? {}
  const generation = (await readJsonIfThere(folder, GENERATION_CONFIG)) ?? {}
  const added = addedTokens(json, join(folder, TOKENIZER))
  const idOf = (token: string | null) =>
    token === null ? null : (added.get(token) ?? vocabularyId(json, token))
  const chatTemplate = await readChatTemplate(folder, config)
  const ends = new Set([
    ...ids(generation, 'eos_token_id', join(folder, GENERATION_CONFIG)),
    ...ids(modelConfig, 'eos_token_id', join(folder, 'config.json')),
    ...turnEndIds(chatTemplate, added),
  ])
  const eos = idOf(tokenText(config.eos_token ?? special.eos_token))
  if (eos !== null) ends.add(eos)
  const bos =
    idOf(tokenText(config.bos_token ?? special.bos_token)) ??
    ids(modelConfig, 'bos_token_id', join(folder, 'config.json'))[0]

  const fields = new Fields(join(folder, GENERATION_CONFIG), (name) => generation[name])
  const sampling = readSampling(fields, {
    temperature: 'temperature',
    topK: 'top_k',
    topP: 'top_p',
    minP: 'min_p',
    repetitionPenalty: 'repetition_penalty',
  })
  fields.check()
  return {
    json,
    config,
    bosTokenId: bos ?? null,
    endTokenIds: [...ends].sort((a, b) => a - b),
    chatTemplate,
    sampling,
  }
}

/** A template of its own file wins over the one in tokenizer_config.json, as in transformers. */
async function readChatTemplate(folder: string, config: JsonRecord): Promise<string | null> {
  const jinja = await readTextIfThere(folder, 'chat_template.jinja')
  if (jinja !== null) return jinja
  const json = await readJsonIfThere(folder, 'chat_template.json')
  const template = json?.chat_template ?? config.chat_template ?? null
  if (template === null || typeof template === 'string') return template
  // Several templates by name: `default` is the one for plain chats.
  const named: unknown = Array.isArray(template)
    ? template.find((item) => isRecord(item) && item.name === 'default')
    : undefined
  if (isRecord(named) && typeof named.template === 'string') return named.template
  throw new CheckpointError(
    `chat_template in ${folder} is neither a text nor a list with one named "default"`,
  )
}

function addedTokens(json: JsonRecord, path: string): Map<string, number> {
  if (!isRecord(json.model)) throw new CheckpointError(`${path} has no model`)
  const added = new Map<string, number>()
  const list: unknown[] = Array.isArray(json.added_tokens) ? json.added_tokens : []
  for (const token of list) {
    if (!isRecord(token) || typeof token.content !== 'string' || typeof token.id !== 'number') {
      throw new CheckpointError(
        `added_tokens in ${path} has ${JSON.stringify(token)}; needed are content and id`,
      )
    }
    added.set(token.content, token.id)
  }
  return added
}

/** Special tokens of some tokenizers are only in the model's own vocabulary. */
function vocabularyId(json: JsonRecord, token: string): number | null {
  const vocabulary = isRecord(json.model) ? json.model.vocab : undefined
  const id = isRecord(vocabulary) && Object.hasOwn(vocabulary, token) ? vocabulary[token] : null
  return typeof id === 'number' ? id : null
}

/** A special token is written as its text, or as an object with the text in `content`. */
function tokenText(token: unknown): string | null {
  if (typeof token === 'string') return token
  return isRecord(token) && typeof token.content === 'string' ? token.content : null
}

/** An id or a list of ids. */
function ids(record: JsonRecord, name: string, path: string): number[] {
  const value = record[name] ?? []
  const list: unknown[] = Array.isArray(value) ? value : [value]
  if (list.every((id) => typeof id === 'number' && Number.isSafeInteger(id) && id >= 0)) {
    return list.filter((id) => typeof id === 'number')
  }
  throw new CheckpointError(
    `${name} in ${path} is ${JSON.stringify(value)}; allowed are token ids, one or a list`,
  )
}
