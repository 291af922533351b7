// Tokenizers from GGUF metadata, run by the library that the engine uses.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { Tokenizer } from '@huggingface/tokenizers'

import type { CheckpointTokenizer } from '../../../runtime/checkpoint/checkpoint.ts'
import { readGgufTokenizer } from '../../../runtime/checkpoint/gguf-tokenizer.ts'
import { openGguf } from '../../../runtime/checkpoint/gguf.ts'
import { preTokenizerNamed } from '../../../runtime/checkpoint/pre-tokenizers.ts'
import type { GgufValue } from '../../support/gguf.ts'
import { bool, f32, f32s, ggufBytes, i32s, text, texts, u32 } from '../../support/gguf.ts'
import { makeFolder } from '../../support/folder.ts'
import { lastingFile } from '../../support/lasting.ts'
import { byteLetters, byteLevelMetadata, byteLevelTokens, CHAT_TEMPLATE } from './tiny-models.ts'

const TEXTS = [
  'hello world',
  "it's  HELLO\n\n\tWorld 12345 €100",
  'naïve façade 中文 Ελληνικά 🎉👩‍👩‍👧',
  ' leading and trailing ',
  '<|im_start|>user\nhello<|im_end|>\n<tool>',
]

const folder = await makeFolder(lastingFile(), 'tokenizer')

async function tokenizerOf(metadata: Record<string, GgufValue>): Promise<CheckpointTokenizer> {
  const path = join(folder, 'model.gguf')
  await writeFile(path, ggufBytes({ metadata, tensors: {} }))
  const file = await openGguf(path)
  try {
    return readGgufTokenizer(file)
  } finally {
    await file.close()
  }
}

function load({ json, config }: CheckpointTokenizer): Tokenizer {
  return new Tokenizer(json, config)
}

/** How a pre-tokenizer splits a text, with the letters of byte-level BPE turned back. */
function pieces(name: string, input: string): string[] {
  const { preTokenizer, normalizer } = preTokenizerNamed(name, 'model.gguf')
  const letters = byteLetters()
  const tokenizer = new Tokenizer(
    {
      added_tokens: [],
      normalizer,
      pre_tokenizer: preTokenizer,
      post_processor: null,
      decoder: null,
      model: { type: 'BPE', vocab: {}, merges: [] },
    },
    {},
  )
  const normal = tokenizer.normalizer === null ? input : tokenizer.normalizer.normalize(input)
  return tokenizer
    .pre_tokenizer!.pre_tokenize(normal, {})
    .map((piece: string) =>
      Buffer.from(Array.from(piece, (letter) => letters.indexOf(letter))).toString(),
    )
}

for (const name of ['smollm', 'gpt-2', 'default', 'llama-bpe', 'qwen2', 'tekken', null]) {
  test(`byte-level text with the pre-tokenizer ${name} comes back as it was`, async () => {
    const tokenizer = load(await tokenizerOf(byteLevelMetadata(name)))
    for (const input of TEXTS) {
      const { ids } = tokenizer.encode(input, { add_special_tokens: false })
      assert.equal(tokenizer.decode(ids), input.normalize('NFC'))
    }
  })
}

test('control and user-defined tokens are found in text, and only the former are special', async () => {
  const { tokens } = byteLevelTokens()
  const tokenizer = load(await tokenizerOf(byteLevelMetadata('smollm')))
  const { ids } = tokenizer.encode('<|im_start|>hello<tool><|im_end|>', {
    add_special_tokens: false,
  })
  assert.deepEqual(ids, [1, tokens.indexOf('hello'), tokens.length - 1, 2])
  assert.equal(tokenizer.decode(ids, { skip_special_tokens: true }), 'hello<tool>')
})

test('pieces are merged in the order of the merges', async () => {
  const tokenizer = load(await tokenizerOf(byteLevelMetadata('gpt-2')))
  assert.deepEqual(tokenizer.tokenize('hello world'), ['hello', 'Ġw', 'o', 'r', 'l', 'd'])
})

test('numbers are split as each model was trained', () => {
  assert.deepEqual(pieces('smollm', 'in 1234 ٣٤'), ['in', ' ', '1', '2', '3', '4', ' ', '٣', '٤'])
  assert.deepEqual(pieces('gpt-2', 'in 1234'), ['in', ' 1234'])
  assert.deepEqual(pieces('llama-bpe', 'in 1234'), ['in', ' ', '123', '4'])
  assert.deepEqual(pieces('llama3', 'in 1234'), ['in', ' ', '123', '4'])
  assert.deepEqual(pieces('qwen2', 'in 1234'), ['in', ' ', '1', '2', '3', '4'])
  assert.deepEqual(pieces('tekken', 'in 1234'), ['in', ' ', '1', '2', '3', '4'])
  assert.deepEqual(pieces('default', 'in 1234'), ['in', ' ', '123', '4'])
})

test('contractions, line ends and cases are split as each model was trained', () => {
  assert.deepEqual(pieces('gpt-2', "IT'S it's\n\n x"), ['IT', "'", 'S', ' it', "'s", '\n\n', ' x'])
  assert.deepEqual(pieces('llama-bpe', "IT'S (x)!\n\ny"), ['IT', "'S", ' (', 'x', ')!\n\n', 'y'])
  assert.deepEqual(pieces('tekken', 'camelCase a/b'), ['camel', 'Case', ' a', '/b'])
  assert.deepEqual(pieces('default', 'a, b'), ['a', ',', ' b'])
})

test('Qwen composes characters, others leave them as they are', () => {
  assert.deepEqual(pieces('qwen2', 'e\u0301'), ['é'])
  assert.deepEqual(pieces('gpt-2', 'e\u0301'), ['e', '\u0301'])
})

test('a whole piece that is a token is taken without merging where the model does so', async () => {
  const metadata = byteLevelMetadata('llama-bpe')
  const { tokens, kinds } = byteLevelTokens()
  metadata['tokenizer.ggml.tokens'] = texts([...tokens, 'world'])
  metadata['tokenizer.ggml.token_type'] = i32s([...kinds, 1])
  assert.deepEqual(load(await tokenizerOf(metadata)).tokenize('world'), ['world'])
  metadata['tokenizer.ggml.pre'] = text('gpt-2')
  assert.deepEqual(load(await tokenizerOf(metadata)).tokenize('world'), ['w', 'o', 'r', 'l', 'd'])
})

test('an unknown pre-tokenizer is an error that names it and those that are supported', async () => {
  await assert.rejects(
    tokenizerOf(byteLevelMetadata('chatglm-bpe')),
    /pre-tokenizer "chatglm-bpe"; supported are default, gpt-2, smollm, llama-bpe/,
  )
})

test('a prompt starts with the beginning-of-text token where the file or the kind says so', async () => {
  const starts = async (metadata: Record<string, GgufValue>) =>
    load(await tokenizerOf(metadata)).encode('hello').ids[0] === 1
  assert.ok(!(await starts(byteLevelMetadata('smollm'))))
  assert.ok(await starts(byteLevelMetadata('llama-bpe')))
  assert.ok(
    await starts({ ...byteLevelMetadata('smollm'), 'tokenizer.ggml.add_bos_token': bool(true) }),
  )
  assert.ok(
    !(await starts({
      ...byteLevelMetadata('llama-bpe'),
      'tokenizer.ggml.add_bos_token': bool(false),
    })),
  )
  assert.ok(await starts(sentencePieceMetadata()))
})

test("a turn ends at the file's end tokens and at what the chat template closes turns with", async () => {
  const { endTokenIds, bosTokenId, chatTemplate, config } = await tokenizerOf(
    byteLevelMetadata('smollm'),
  )
  assert.deepEqual(endTokenIds, [0, 2])
  assert.equal(bosTokenId, 1)
  assert.equal(chatTemplate, CHAT_TEMPLATE)
  assert.equal(Reflect.get(config, 'chat_template'), CHAT_TEMPLATE)
  const eot = { ...byteLevelMetadata('smollm'), 'tokenizer.ggml.eot_token_id': u32(3) }
  assert.deepEqual((await tokenizerOf(eot)).endTokenIds, [0, 2, 3])
  const { 'tokenizer.chat_template': _, ...untemplated } = byteLevelMetadata('smollm')
  assert.deepEqual((await tokenizerOf(untemplated)).endTokenIds, [0])
  assert.equal((await tokenizerOf(untemplated)).chatTemplate, null)
})

test("the sampling that a file recommends is the model's default", async () => {
  const metadata = {
    ...byteLevelMetadata('smollm'),
    'general.sampling.temp': f32(Math.fround(0.6)),
  }
  assert.deepEqual((await tokenizerOf(metadata)).sampling, { temperature: 0.6 })
})

test('metadata that does not fit together is named', async () => {
  const change = (key: string, value: GgufValue | null) => {
    const { [`tokenizer.ggml.${key}`]: _, ...rest } = byteLevelMetadata('smollm')
    return value === null ? rest : { ...rest, [`tokenizer.ggml.${key}`]: value }
  }
  const cases: [metadata: Record<string, GgufValue>, message: RegExp][] = [
    [
      change('model', text('bert')),
      /tokenizer\.ggml\.model in .* is "bert"; supported are gpt2 .* llama/,
    ],
    [
      change('tokens', null),
      /tokenizer\.ggml\.tokens in .* is missing; a list of strings is needed/,
    ],
    [change('tokens', i32s([1])), /tokenizer\.ggml\.tokens in .* is a list of something else/],
    [change('merges', null), /tokenizer\.ggml\.merges in .* is missing/],
    [change('merges', texts(['ab'])), /Merge 0 in .* is "ab"; needed are two parts/],
    [change('token_type', i32s([1])), /268 tokens in .* and 1 kinds/],
    [
      change('eos_token_id', u32(268)),
      /eos_token_id in .* is 268; the vocabulary has the ids 0 to 267/,
    ],
    [change('add_bos_token', u32(1)), /add_bos_token is 1, allowed is true or false/],
  ]
  for (const [metadata, message] of cases) await assert.rejects(tokenizerOf(metadata), message)
  const { tokens, kinds } = byteLevelTokens()
  const twice = { ...byteLevelMetadata('smollm') }
  twice['tokenizer.ggml.tokens'] = texts([...tokens, 'hello'])
  twice['tokenizer.ggml.token_type'] = i32s([...kinds, 1])
  await assert.rejects(tokenizerOf(twice), /Tokens 262 and 268 in .* are both "hello"/)
})

test('SentencePiece text comes back as it was, bytes standing in for what no piece covers', async () => {
  const tokenizer = load(await tokenizerOf(sentencePieceMetadata()))
  assert.deepEqual(tokenizer.tokenize('hello hell\n'), ['▁hello', '▁hell', '<0x0A>'])
  for (const input of ['hello', 'hello hello', ' hello', 'naïve 中文 🎉\n', 'h  o']) {
    const { ids } = tokenizer.encode(input, { add_special_tokens: false })
    assert.equal(tokenizer.decode(ids), input)
  }
})

test('SentencePiece joins what makes the piece with the best score', async () => {
  const { json } = await tokenizerOf(sentencePieceMetadata())
  const merges: string[][] = Reflect.get(json, 'model').merges
  const order = merges.map(([left, right]) => `${left}+${right}`)
  assert.deepEqual(order, [
    'h+e',
    'l+l',
    'he+ll',
    '▁+he',
    'hell+o',
    '▁he+ll',
    '▁+hell',
    '▁hell+o',
    '▁+hello',
  ])
})

test('SentencePiece puts no space before a text where the file says so', async () => {
  const metadata = { ...sentencePieceMetadata(), 'tokenizer.ggml.add_space_prefix': bool(false) }
  assert.deepEqual(load(await tokenizerOf(metadata)).tokenize('hello'), ['hello'])
  const { 'tokenizer.ggml.scores': _, ...scoreless } = sentencePieceMetadata()
  await assert.rejects(tokenizerOf(scoreless), /tokenizer\.ggml\.scores in .* is missing/)
})

/** Unknown, bos, eos, 256 bytes, then pieces whose scores fall. */
function sentencePieceMetadata(): Record<string, GgufValue> {
  const bytes = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
  )
  const pieces = ['he', 'll', 'hell', '▁he', 'hello', '▁hell', '▁hello', '▁', 'h', 'e', 'l', 'o']
  const tokens = ['<unk>', '<s>', '</s>', ...bytes, ...pieces]
  return {
    'tokenizer.ggml.model': text('llama'),
    'tokenizer.ggml.pre': text('default'),
    'tokenizer.ggml.tokens': texts(tokens),
    'tokenizer.ggml.scores': f32s(tokens.map((_, id) => (id < 259 ? 0 : 258 - id))),
    'tokenizer.ggml.token_type': i32s(
      tokens.map((_, id) => (id === 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1)),
    ),
    'tokenizer.ggml.bos_token_id': u32(1),
    'tokenizer.ggml.eos_token_id': u32(2),
    'tokenizer.ggml.unknown_token_id': u32(0),
  }
}
