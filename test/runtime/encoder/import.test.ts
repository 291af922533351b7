// From the folders that others write to versions that give the right numbers.

import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { TestContext } from 'node:test'

import type { EncoderManifest } from '../../../models/manifest.ts'
import { ModelStore } from '../../../models/store.ts'
import { openEncoderRunner } from '../../../runtime/encoder/open-runner.ts'
import { loadOrt } from '../../../runtime/ort/api.ts'
import { writeEncoderFolder } from '../../support/encoder-folder.ts'
import { importFolder } from '../../support/encoder-gateway.ts'
import { referenceHidden, referenceLogits } from '../../support/encoder-reference.ts'
import { exportEncoder } from '../../support/exported-encoder.ts'
import { randomEncoder } from '../../support/random-encoder.ts'
import type { MemoryEncoder } from '../../support/random-encoder.ts'
import { temporaryFolder } from '../../support/runtime.ts'

const TEXTS = [
  { ids: [2, 9, 12, 40, 3], segments: null },
  { ids: [2, 7, 3], segments: null },
]

async function importInto(t: TestContext, path: string): Promise<[string, EncoderManifest]> {
  const store = new ModelStore(await temporaryFolder(t))
  const { folder, manifest } = await importFolder(store, 'tiny', path)
  if (manifest.kind === 'generate') throw new Error('a decoder')
  return [folder, manifest]
}

/** Runs a version and compares each row with what an independent forward pass gives. */
function compare(folder: string, manifest: EncoderManifest, checkpoint: MemoryEncoder) {
  const runner = openEncoderRunner(loadOrt(), folder, manifest, { threads: 1, maxCells: 64 })
  try {
    const { values, width, firstRow } = runner.run(TEXTS)
    for (const [index, text] of TEXTS.entries()) {
      const expected = checkpoint.head
        ? referenceLogits(checkpoint, text)
        : referenceHidden(checkpoint, text)
      for (const [row, numbers] of expected.entries()) {
        for (const [i, value] of numbers.entries()) {
          const found = values[(firstRow(index) + row) * width + i]!
          assert.ok(Math.abs(found - value) < 1e-4, `text ${index}: ${found} is not ${value}`)
        }
      }
    }
  } finally {
    runner.close()
  }
}

const twoLabels = { id2label: { 0: 'no', 1: 'yes' } }
const head = (dense: 'Tanh' | 'Relu') => ({ reads: 'first' as const, dense, labels: 2 })
const within = (word: string) => (name: string) => `${word}.${name}`

const distilbertName = (name: string) => {
  const parts: [string, string][] = [
    ['head.dense', 'pre_classifier'],
    ['head.out', 'classifier'],
    ['encoder.layer', 'transformer.layer'],
    ['attention.self.query', 'attention.q_lin'],
    ['attention.self.key', 'attention.k_lin'],
    ['attention.self.value', 'attention.v_lin'],
    ['attention.output.dense', 'attention.out_lin'],
    ['attention.output.LayerNorm', 'sa_layer_norm'],
    ['intermediate.dense', 'ffn.lin1'],
    ['output.dense', 'ffn.lin2'],
    ['output.LayerNorm', 'output_layer_norm'],
  ]
  const own = parts.reduce((text, [from, to]) => text.replace(from, to), name)
  return name.startsWith('head.') ? own : `distilbert.${own}`
}

describe('checkpoints of each family are imported as transformers writes them', () => {
  for (const [name, checkpoint, options, kind] of [
    ['BertModel', randomEncoder(), {}, 'embed'],
    ['BertForMaskedLM', randomEncoder(), { rename: within('bert') }, 'embed'],
    [
      'BertForSequenceClassification',
      randomEncoder({ head: head('Tanh') }),
      {
        config: twoLabels,
        // The oldest files say gamma and beta.
        rename: (name: string) =>
          name.startsWith('head.')
            ? name.replace('head.dense', 'bert.pooler.dense').replace('head.out', 'classifier')
            : `bert.${name.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta')}`,
      },
      'classify',
    ],
    [
      'XLMRobertaForSequenceClassification',
      randomEncoder({
        architecture: { family: 'roberta', segments: 1 },
        setAside: 2,
        head: head('Tanh'),
      }),
      {
        config: twoLabels,
        rename: (name: string) =>
          name.startsWith('head.')
            ? name
                .replace('head.dense', 'classifier.dense')
                .replace('head.out', 'classifier.out_proj')
            : `roberta.${name}`,
      },
      'classify',
    ],
    [
      'DistilBertForSequenceClassification',
      randomEncoder({ architecture: { family: 'distilbert', segments: 0 }, head: head('Relu') }),
      { config: twoLabels, rename: distilbertName },
      'classify',
    ],
  ] as const) {
    test(name, async (t) => {
      const path = await temporaryFolder(t)
      await writeEncoderFolder(path, checkpoint, { architecture: name, ...options })
      const [folder, manifest] = await importInto(t, path)
      assert.equal(manifest.kind, kind)
      assert.equal(manifest.contextLength, 64)
      compare(folder, manifest, checkpoint)
    })
  }
})

describe('what vectors are made of is read from beside the model', () => {
  for (const [pooling, flags] of [
    ['cls', { pooling_mode_cls_token: true, pooling_mode_mean_tokens: false }],
    ['last', { pooling_mode_lasttoken: true }],
    ['max', { pooling_mode_max_tokens: true }],
  ] as const) {
    test(`${pooling} pooling, without normalising`, async (t) => {
      const path = await temporaryFolder(t)
      const sentences = { modules: ['Transformer', 'Pooling'], pooling: flags, maxTokens: 32 }
      await writeEncoderFolder(path, randomEncoder(), { architecture: 'BertModel', sentences })
      const [, { output, contextLength }] = await importInto(t, path)
      assert.deepEqual(output, { kind: 'embed', pooling, isNormalised: false, dimensions: 64 })
      assert.equal(contextLength, 32)
    })
  }

  test('a module that would change the vectors is refused', async (t) => {
    const path = await temporaryFolder(t)
    const sentences = { modules: ['Transformer', 'Pooling', 'Dense'], pooling: {} }
    await writeEncoderFolder(path, randomEncoder(), { architecture: 'BertModel', sentences })
    await assert.rejects(importInto(t, path), /names the module "Dense"; supported are Transformer/)
  })
})

describe('exports by others are served as they are', () => {
  for (const place of ['onnx', '.']) {
    test(`from ${place === '.' ? 'the folder itself' : 'its folder onnx'}`, async (t) => {
      const path = await temporaryFolder(t)
      const checkpoint = randomEncoder({ architecture: { family: 'onnx' } })
      await writeEncoderFolder(path, checkpoint, { architecture: 'ModernBertModel' })
      await rm(join(path, 'model.safetensors'))
      await mkdir(join(path, place), { recursive: true })
      await exportEncoder(checkpoint, join(path, place))
      const [folder, manifest] = await importInto(t, path)
      assert.deepEqual(manifest.graph, {
        file: 'model.onnx',
        dataFile: 'model.onnx_data',
        layout: 'padded',
        output: 'last_hidden_state',
      })
      compare(folder, manifest, checkpoint)
    })
  }

  test('not with weights outside of its folder, nor with weights that are missing', async (t) => {
    const path = await temporaryFolder(t)
    const checkpoint = randomEncoder({ architecture: { family: 'onnx' } })
    await writeEncoderFolder(path, checkpoint, { architecture: 'ModernBertModel' })
    await rm(join(path, 'model.safetensors'))
    await exportEncoder(checkpoint, path)
    const graph = await readFile(join(path, 'model.onnx'), 'latin1')
    const outside = graph.replaceAll('model.onnx_data', '../../etc/paswd')
    await writeFile(join(path, 'model.onnx'), outside, 'latin1')
    // What is copied would have this name, and the graph would still read the other.
    await writeFile(join(path, 'paswd'), '')
    await assert.rejects(
      importInto(t, path),
      /has weights at "\.\.\/\.\.\/etc\/paswd"; allowed is the name of a file beside it/,
    )
    await writeFile(join(path, 'model.onnx'), graph, 'latin1')
    await rm(join(path, 'model.onnx_data'))
    await assert.rejects(
      importInto(t, path),
      /model\.onnx_data is missing: .* has its weights there/,
    )
  })

  test('with a head', async (t) => {
    const path = await temporaryFolder(t)
    const checkpoint = randomEncoder({ architecture: { family: 'onnx' }, head: head('Tanh') })
    const architecture = 'ModernBertForSequenceClassification'
    await writeEncoderFolder(path, checkpoint, { architecture, config: twoLabels })
    await rm(join(path, 'model.safetensors'))
    await exportEncoder(checkpoint, path)
    const [folder, manifest] = await importInto(t, path)
    assert.deepEqual(manifest.output, {
      kind: 'classify',
      labels: ['no', 'yes'],
      isMultiLabel: false,
    })
    compare(folder, manifest, checkpoint)
  })

  test('one that gives something else than its configuration says is refused', async (t) => {
    const path = await temporaryFolder(t)
    const checkpoint = randomEncoder({ architecture: { family: 'onnx' }, head: head('Tanh') })
    const architecture = 'ModernBertForSequenceClassification'
    const config = { id2label: { 0: 'no', 1: 'yes', 2: 'perhaps' } }
    await writeEncoderFolder(path, checkpoint, { architecture, config })
    await rm(join(path, 'model.safetensors'))
    await exportEncoder(checkpoint, path)
    await assert.rejects(importInto(t, path), /model\.onnx can't be served: .*invalid dimensions/)
  })
})

test('what can not be built is refused, by name', async (t) => {
  for (const [change, words] of [
    [{ position_embedding_type: 'relative_key' }, /position_embedding_type is "relative_key"/],
    [{ hidden_act: 'swish' }, /hidden_act is "swish"/],
    [{ architectures: ['BertForQuestionAnswering'] }, /"BertForQuestionAnswering"/],
    [{ num_hidden_layers: 3 }, /encoder\.layer\.2\.\S+ is missing/],
    [{ vocab_size: 201 }, /word_embeddings\.weight is \[200, 64\], not \[201, 64\]/],
  ] as const) {
    const path = await temporaryFolder(t)
    const options = { architecture: 'BertModel', config: change }
    await writeEncoderFolder(path, randomEncoder(), options)
    await assert.rejects(importInto(t, path), words)
  }
  const path = await temporaryFolder(t)
  await writeEncoderFolder(path, randomEncoder(), { architecture: 'BertModel' })
  await rm(join(path, 'tokenizer.json'))
  await writeFile(join(path, 'vocab.txt'), '[PAD]')
  await assert.rejects(importInto(t, path), /tokenizer\.json is missing/)
  assert.ok((await readdir(path)).length > 0)
})
