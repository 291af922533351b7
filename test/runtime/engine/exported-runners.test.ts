// Decoders in the shapes that others export, beside our own graph of the same weights.

import assert from 'node:assert/strict'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { DecoderDraft, DecoderManifest } from '../../../models/manifest.ts'
import type { Checkpoint } from '../../../runtime/checkpoint/checkpoint.ts'
import { openRunner } from '../../../runtime/engine/open-runner.ts'
import type { Runner } from '../../../runtime/engine/runner.ts'
import { GraphWriter } from '../../../runtime/graph/onnx.ts'
import { importVersion } from '../../../runtime/import.ts'
import { loadOrt } from '../../../runtime/ort/api.ts'
import { writeCompanions, writeExportedDecoder } from '../../support/exported-decoder.ts'
import type { ExportStyle } from '../../support/exported-decoder.ts'
import { makeFolder } from '../../support/folder.ts'
import { randomCheckpoint, TINY, tinyArchitecture } from '../../support/random-checkpoint.ts'
import { startRunner } from '../../support/runner.ts'

const SIZE = { slots: 8, capacity: 128, maxPrefill: 64, threads: 2 }

async function importFrom(t: TestContext, path: string): Promise<[string, DecoderDraft]> {
  const folder = await makeFolder(t, 'version')
  const draft = await importVersion({
    path,
    folder,
    model: 'exported',
    precision: 'int8',
    source: { kind: 'folder', reference: path, revision: null, sha256: '' },
    licence: null,
    threads: 2,
  })
  if (draft.kind !== 'generate') throw new Error('an encoder')
  return [folder, draft]
}

async function startExported(
  t: TestContext,
  checkpoint: Checkpoint,
  style: ExportStyle,
  companions: 'transformers' | 'genai' = 'transformers',
): Promise<{ runner: Runner; draft: DecoderDraft }> {
  const origin = await makeFolder(t, 'export')
  await writeExportedDecoder(origin, checkpoint, style)
  await writeCompanions(origin, checkpoint, companions, style.file)
  const [folder, draft] = await importFrom(t, join(origin, style.file ?? 'model.onnx'))
  await rm(origin, { recursive: true })
  const manifest: DecoderManifest = { ...draft, version: '1', created: '', files: {} }
  const runner = openRunner(loadOrt(), folder, manifest, SIZE)
  t.after(() => runner.close())
  return { runner, draft }
}

const prompts = Array.from({ length: 5 }, (_, i) =>
  Array.from({ length: 4 + 9 * i }, (_, k) => (k * 37 + i * 101 + 7) % TINY.vocabSize),
)

/** Prompts in pieces, a copy, then steps of them all: every token that is chosen. */
function greedy(runner: Runner, steps = 20): number[][] {
  const sequences = prompts.map((prompt) => [...prompt])
  for (const [slot, prompt] of prompts.entries()) {
    // through another slot, whose cache holds more than is copied
    runner.prefill(7, [...prompt.slice(0, 3), 1, 2, 3], 0, 'none')
    runner.copy(7, slot, 3)
    for (let past = 3; past < prompt.length; past += 16) {
      runner.prefill(slot, prompt.slice(past, past + 16), past, 'candidates')
    }
    sequences[slot]!.push(runner.candidateIds(0)[0]!)
  }
  for (let step = 0; step < steps; step++) {
    const last = sequences.map((tokens) => tokens.at(-1)!)
    const lengths = sequences.map((tokens) => tokens.length - 1)
    runner.decode(last, lengths, 'candidates')
    for (const [slot, tokens] of sequences.entries()) tokens.push(runner.candidateIds(slot)[0]!)
  }
  return sequences
}

for (const [title, style, companions, layout] of [
  ['ONNX Runtime GenAI', { attention: 'gqa', dataEnding: '.data' }, 'genai', 'gqa'],
  [
    'onnx-community',
    { attention: 'gqa', file: 'model_q4.onnx', hasPositions: true, keeps: true },
    'transformers',
    'gqa',
  ],
  ['Optimum', { attention: 'growing' }, 'transformers', 'growing'],
] as const) {
  test(`an export of ${title} chooses the tokens that our own graph of its weights chooses`, async (t) => {
    const checkpoint = randomCheckpoint(tinyArchitecture('qwen2'))
    const own = await startRunner(t, checkpoint, 'fp32')
    const { runner, draft } = await startExported(t, checkpoint, style, companions)
    assert.equal(draft.graph.layout, layout)
    const { layers, kvHeads, headDim, vocabSize, contextLength } = checkpoint.architecture
    for (const [name, value] of Object.entries({
      layers,
      kvHeads,
      headDim,
      vocabSize,
      contextLength,
    })) {
      assert.equal(Object.entries(draft.architecture).find(([key]) => key === name)?.[1], value)
    }
    assert.deepEqual(draft.tokenizer.endTokenIds, [0])
    assert.deepEqual(greedy(runner), greedy(own))
  })
}

test('an export in half precision is near our own graph of its weights', async (t) => {
  const checkpoint = randomCheckpoint(TINY)
  const own = await startRunner(t, checkpoint, 'fp32')
  const { runner } = await startExported(t, checkpoint, { attention: 'growing', isHalf: true })
  for (const each of [own, runner]) {
    each.prefill(0, prompts[3]!.slice(0, 20), 0, 'none')
    each.prefill(0, prompts[3]!.slice(20), 20, 'none')
    each.decode([9], [prompts[3]!.length], 'logits')
  }
  assert(furthest(runner.logits(0), own.logits(0)) < 0.02)
})

function furthest(left: Float32Array, right: Float32Array): number {
  return Math.max(...left.map((value, i) => Math.abs(value - right[i]!)))
}

for (const attention of ['gqa', 'growing'] as const) {
  test(`a row of a batch is what it is alone, in an export whose attention is ${attention}`, async (t) => {
    const { runner } = await startExported(t, randomCheckpoint(TINY), { attention })
    const last = (slot: number) => {
      const prompt = prompts[slot]!
      runner.prefill(slot, prompt.slice(0, -1), 0, 'none')
      return [prompt.at(-1)!, prompt.length - 1] as const
    }
    const alone = prompts.map((prompt) => {
      runner.prefill(0, prompt.slice(0, -1), 0, 'none')
      runner.decode([prompt.at(-1)!], [prompt.length - 1], 'logits')
      return runner.logits(0).slice()
    })
    const steps = prompts.map((_, slot) => last(slot))
    runner.decode(
      steps.map(([token]) => token),
      steps.map(([, length]) => length),
      'logits',
    )
    for (const [slot, expected] of alone.entries()) {
      assert(furthest(runner.logits(slot), expected) < 1e-4, `slot ${slot}`)
    }
  })
}

test('candidates of an export are best first, with the log-probabilities of the whole row', async (t) => {
  const { runner } = await startExported(t, randomCheckpoint(TINY), { attention: 'gqa' })
  runner.prefill(3, prompts[2]!, 0, 'logits')
  const logits = [...runner.logits(0)]
  const total = Math.log(logits.reduce((sum, value) => sum + Math.exp(value), 0))
  const order = logits.map((_, id) => id).toSorted((a, b) => logits[b]! - logits[a]!)
  assert.deepEqual(Array.from(runner.candidateIds(0)), order.slice(0, 64))
  for (const [rank, logprob] of Array.from(runner.candidateLogprobs(0)).entries()) {
    assert(Math.abs(logprob - (logits[order[rank]!]! - total)) < 1e-4)
  }
})

async function damaged(t: TestContext, damage: (folder: string) => Promise<void>): Promise<string> {
  const origin = await makeFolder(t, 'export')
  const checkpoint = randomCheckpoint(TINY)
  await writeExportedDecoder(origin, checkpoint, { attention: 'gqa' })
  await writeCompanions(origin, checkpoint, 'transformers')
  await damage(origin)
  const error = await importFrom(t, join(origin, 'model.onnx')).then(
    () => null,
    (thrown: unknown) => thrown,
  )
  assert(error instanceof Error, 'it was not refused')
  return error.message
}

/** Puts another graph in place of the one that was written. */
const instead = (draw: (graph: GraphWriter) => void) => async (folder: string) => {
  await rm(join(folder, 'model.onnx'))
  const graph = await GraphWriter.create(folder, null)
  draw(graph)
  await graph.finish('model.onnx')
}

for (const [title, damage, problem] of [
  [
    'weights are missing',
    (folder: string) => rm(join(folder, 'model.onnx_data')),
    /model\.onnx_data is missing/,
  ],
  [
    'tokenizer is missing',
    (folder: string) => rm(join(folder, 'tokenizer.json')),
    /no tokenizer\.json/,
  ],
  [
    'file is no graph',
    (folder: string) => writeFile(join(folder, 'model.onnx'), 'version https://git-lfs'),
    /is not an ONNX model/,
  ],
  [
    'context is not named',
    (folder: string) => writeFile(join(folder, 'config.json'), '{"model_type":"llama"}'),
    /says max_position_embeddings/,
  ],
  [
    'graph has no cache',
    instead((graph) => {
      graph.input('input_ids', 'i64', ['B', 'S'])
      graph.op('Cast', ['input_ids'], { to: 1 }, 'logits')
      graph.output('logits', 'f32', ['B', 'S', 300])
    }),
    /no key\/value cache/,
  ],
  [
    'cache is ignored',
    instead((graph) => {
      graph.input('input_ids', 'i64', ['B', 'S'])
      const shape: (number | string)[] = ['B', 2, 'past', 32]
      for (const part of ['key', 'value']) {
        graph.input(`past_key_values.0.${part}`, 'f32', shape)
        graph.op('Concat', [`past_key_values.0.${part}`, 'more'], { axis: 2 }, `present.0.${part}`)
        graph.output(`present.0.${part}`, 'f32', shape)
      }
      const added = graph.op('Concat', [graph.op('Shape', ['input_ids']), graph.ints(64)], {
        axis: 0,
      })
      const zeros = graph.op('ConstantOfShape', [added])
      const cells = graph.op('Reshape', [zeros, graph.ints(0, -1, 2, 32)])
      graph.op('Transpose', [cells], { perm: [0, 2, 1, 3] }, 'more')
      // logits that depend on how many tokens came at once
      const count = graph.op('Cast', [graph.op('Shape', ['input_ids'])], { to: 1 })
      const length = graph.op('Gather', [count, graph.ints(1)], { axis: 0 })
      const ids = graph.op('Unsqueeze', [
        graph.op('Cast', ['input_ids'], { to: 1 }),
        graph.ints(-1),
      ])
      const wide = graph.op('Expand', [ids, graph.ints(1, 1, 300)])
      graph.op('Sin', [graph.op('Mul', [wide, length])], {}, 'logits')
      graph.output('logits', 'f32', ['B', 'S', 300])
    }),
    /growing: a prompt gives other logits in pieces than at once/,
  ],
] as const) {
  test(`an export whose ${title} is refused with the reason`, async (t) => {
    assert.match(await damaged(t, damage), problem)
  })
}

test('weights outside of the folder of an export are not read', async (t) => {
  const origin = await makeFolder(t, 'export')
  const checkpoint = randomCheckpoint(TINY)
  await writeCompanions(origin, checkpoint, 'transformers')
  await writeExportedDecoder(origin, checkpoint, { attention: 'gqa' })
  const bytes = await readFile(join(origin, 'model.onnx'), 'latin1')
  const moved = bytes.replaceAll('model.onnx_data', '../../../etc/xx')
  await writeFile(join(origin, 'model.onnx'), moved, 'latin1')
  await assert.rejects(
    importFrom(t, join(origin, 'model.onnx')),
    /has weights at "\.\.\/\.\.\/\.\.\/etc\/xx"; allowed is the name of a file beside it/,
  )
})
