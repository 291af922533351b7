// The bundled model's tokenizer, read by the library that the engine uses, against ids that its trainer's own
// implementation gave (models/headrace-guide/byte_pairs.py).

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'

import { Template } from '@huggingface/jinja'
import { Tokenizer } from '@huggingface/tokenizers'

const CHECKPOINT = new URL('../../models/headrace-guide/checkpoint/', import.meta.url)

async function readJson(name: string) {
  return JSON.parse(await readFile(new URL(name, CHECKPOINT), 'utf8'))
}

async function loadTokenizer() {
  return new Tokenizer(await readJson('tokenizer.json'), await readJson('tokenizer_config.json'))
}

const ENCODED: [text: string, ids: number[]][] = [
  ['How do I roll back a model version?', [323, 275, 303, 735, 595, 261, 314, 350, 66]],
  ['Run make serve.', [925, 505, 609, 49]],
  [
    "  two  spaces, don't\n\n\tand a tab ",
    [35, 1531, 114, 35, 962, 280, 267, 47, 266, 271, 838, 13, 13, 12, 434, 261, 259, 398, 35],
  ],
  [
    'naïve café: ½ of 1234 costs €12,50',
    [
      113, 100, 198, 178, 332, 276, 100, 105, 198, 172, 61, 35, 197, 192, 317, 882, 53, 54, 55, 276,
      443, 118, 35, 229, 133, 175, 52, 53, 47, 56, 51,
    ],
  ],
  [
    '日本語 😀👩‍👩‍👧',
    [
      233, 154, 168, 233, 159, 175, 235, 173, 161, 35, 243, 162, 155, 131, 243, 162, 148, 172, 229,
      131, 144, 243, 162, 148, 172, 229, 131, 144, 243, 162, 148, 170,
    ],
  ],
  ['HEADRACE_PORT=8080', [1241, 98, 1244, 64, 1396]],
]

test("the bundled model's tokenizer gives the ids that the model was trained on", async () => {
  const tokenizer = await loadTokenizer()
  for (const [text, ids] of ENCODED) {
    assert.deepEqual(tokenizer.encode(text).ids, ids, JSON.stringify(text))
    assert.equal(tokenizer.decode(ids), text)
  }
})

test("the bundled model's chat template writes turns that its tokenizer marks with special tokens", async () => {
  const tokenizer = await loadTokenizer()
  const { chat_template: source } = await readJson('tokenizer_config.json')
  const prompt = new Template(source).render({
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hello' },
    ],
    add_generation_prompt: true,
  })
  assert.equal(
    prompt,
    '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n',
  )
  const { ids } = tokenizer.encode(prompt)
  assert.equal(ids.filter((id: number) => id === tokenizer.token_to_id('<|im_start|>')).length, 3)
  assert.equal(ids.filter((id: number) => id === tokenizer.token_to_id('<|im_end|>')).length, 2)
  assert.equal(tokenizer.decode(ids, { skip_special_tokens: false }), prompt)
})

test('every token of the bundled model has a row in its embedding', async () => {
  const { model } = await readJson('tokenizer.json')
  const ids = Object.values<number>(model.vocab).toSorted((a, b) => a - b)
  const { vocab_size: rows } = await readJson('config.json')
  assert.deepEqual(
    ids,
    Array.from({ length: rows }, (_, id) => id),
  )
})
