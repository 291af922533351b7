// `make bench-embeddings`: how fast texts become vectors, beside transformers.js on the same model, threads and texts, and
// how equal they are to those of sentence-transformers, where a Python has that.
//
// Everybody has a process of its own and takes turns, so that what else the machine does hits all of them alike. transformers.js
// gets the checkpoint as exporters write it; its batches come in the order of the texts, as its callers make them, or one by
// one, which wastes nothing.
//
// Tables on stdout, progress on stderr.

import { execFile } from 'node:child_process'
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'

import { readRegistry } from '../../../models/registry.ts'
import { fetchSource } from '../../../models/sources/fetch.ts'
import { sourceSettings } from '../../../models/sources/fetched.ts'
import { MANIFEST_FILE } from '../../../models/manifest.ts'
import type { Precision } from '../../../models/manifest.ts'
import { openEncoder } from '../../../runtime/checkpoint/open-encoder.ts'
import { importVersion } from '../../../runtime/import.ts'
import { exportEncoder } from '../../support/exported-encoder.ts'
import { barsTable } from '../bars.ts'
import type { Bar } from '../bars.ts'
import { cleanEnvironment } from '../environment.ts'
import { CACHE_DIR, DATA_DIR } from '../folders.ts'
import { startProgress } from '../progress.ts'
import { table } from '../table.ts'
import { Worker } from '../worker.ts'
import type { ContestantAnswer, ContestantAsk } from './contestant.ts'
import { installTransformersJs, RELEASE } from './transformers-js.ts'

const MODEL = 'all-minilm-l6-v2'
const HOME = join(CACHE_DIR, 'embeddings')
const LEAST_RATIO = 2
const MOST_DISTANCE = 1e-3
const LEAST_INT8_COSINE = 0.99

const USAGE = `Usage: node test/bench/embeddings/main.ts [options]   make bench-embeddings ARGS="[options]"

  --threads N      of everybody (default: all that the machine has)
  --texts N        (default 256)
  --rounds N       the best of each counts (default 3)
  --batch-tokens N places of one of Headrace's batches (default 512)
  --python PATH    a Python that may have sentence-transformers (default python3)
  --help
`

const { values } = parseArgs({
  options: {
    threads: { type: 'string', default: String(availableParallelism()) },
    texts: { type: 'string', default: '256' },
    rounds: { type: 'string', default: '3' },
    'batch-tokens': { type: 'string', default: '512' },
    python: { type: 'string', default: 'python3' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
if (values.help) process.stdout.write(USAGE)
else await bench()

interface Contestant {
  name: string
  load: ContestantAsk
  bestMs: number
  leastProcessorMs: number
  vectors: Float32Array
}

async function bench(): Promise<void> {
  const progress = startProgress(process.stderr)
  const { signal } = new AbortController()
  const threads = Number(values.threads)
  const texts = await readTexts(Number(values.texts))
  progress(`bringing ${MODEL}`)
  const folder = await fetchModel()
  await rm(HOME, { recursive: true, force: true })
  await mkdir(HOME, { recursive: true })
  await installTransformersJs(progress, signal)
  progress('making the versions')
  const models = await exportFor(folder)
  const headrace = async (precision: Precision): Promise<Contestant> => ({
    name: `Headrace ${precision}`,
    load: {
      type: 'load headrace',
      folder: await importAt(folder, precision),
      threads,
      batchTokens: Number(values['batch-tokens']),
    },
    bestMs: Infinity,
    leastProcessorMs: Infinity,
    vectors: new Float32Array(),
  })
  const theirs = (batch: number): Contestant => ({
    name: `${RELEASE}, batches of ${batch}`,
    load: { type: 'load transformers.js', models, name: MODEL, threads, batch },
    bestMs: Infinity,
    leastProcessorMs: Infinity,
    vectors: new Float32Array(),
  })
  const fp32 = await headrace('fp32')
  const int8 = await headrace('int8')
  const [alone, batched] = [theirs(1), theirs(32)]
  const contestants = [fp32, int8, alone, batched]
  const tokens = await race(contestants, texts, progress, signal)

  const [cpu] = cpus()
  print(`# Headrace bench of embeddings, ${new Date().toISOString()}\n`)
  print(
    `- Machine: ${cpu?.model ?? 'unknown'}, ${cpus().length} cores; load ${loadavg()[0]?.toFixed(1)}.`,
  )
  print(`- ${MODEL}, ${texts.length} texts, ${tokens} tokens, ${threads} threads each.\n`)
  const rows = contestants.map(({ name, bestMs, leastProcessorMs, vectors }) => [
    name,
    (texts.length / (bestMs / 1000)).toFixed(0),
    (tokens / (bestMs / 1000)).toFixed(0),
    (leastProcessorMs / texts.length).toFixed(1),
    (batched.bestMs / bestMs).toFixed(2),
    (alone.bestMs / bestMs).toFixed(2),
    cosines(vectors, alone.vectors, texts.length).mean.toFixed(5),
    cosines(vectors, alone.vectors, texts.length).least.toFixed(5),
  ])
  const head = [
    '',
    'texts/s',
    'tokens/s',
    'CPU ms/text',
    '× batched',
    '× one by one',
    'cosine',
    'least',
  ]
  print(`${table(head, rows)}\n`)
  print(barsTable(await judge({ fp32, int8, alone, batched }, folder, texts)))
}

interface Judged {
  fp32: Contestant
  int8: Contestant
  alone: Contestant
  batched: Contestant
}

async function judge(found: Judged, folder: string, texts: string[]): Promise<Bar[]> {
  const { fp32, int8, alone, batched } = found
  const ratio = batched.bestMs / fp32.bestMs
  const quantised = cosines(int8.vectors, alone.vectors, texts.length).least
  const reference = await sentenceTransformers(folder, texts)
  const distance =
    reference === null ? null : 1 - cosines(fp32.vectors, reference, texts.length).least
  return [
    {
      what: 'fp32 against transformers.js in batches of 32',
      bar: `≥ ${LEAST_RATIO}×`,
      measured: `${ratio.toFixed(2)}×`,
      isMet: ratio >= LEAST_RATIO,
    },
    {
      what: 'fp32 against sentence-transformers, distance of the cosine from 1',
      bar: `≤ ${MOST_DISTANCE}`,
      measured: distance === null ? 'no Python that has it' : distance.toExponential(1),
      isMet: distance === null ? null : distance <= MOST_DISTANCE,
    },
    {
      what: 'int8, least cosine to fp32',
      bar: `≥ ${LEAST_INT8_COSINE}`,
      measured: quantised.toFixed(4),
      isMet: quantised >= LEAST_INT8_COSINE,
    },
  ]
}

/** Everybody in turn, round after round. @returns tokens of the texts */
async function race(
  contestants: Contestant[],
  texts: string[],
  progress: (what: string) => void,
  signal: AbortSignal,
): Promise<number> {
  await using processes = new AsyncDisposableStack()
  const entry = join(import.meta.dirname, 'contestant.ts')
  const workers: Worker<ContestantAsk, ContestantAnswer>[] = []
  for (const { name, load } of contestants) {
    progress(`loading ${name}`)
    const worker = processes.use(new Worker<ContestantAsk, ContestantAnswer>(name, entry, signal))
    await worker.ask(load)
    await worker.ask({ type: 'run', texts: texts.slice(0, 8) })
    workers.push(worker)
  }
  let tokens = 0
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [index, contestant] of contestants.entries()) {
      progress(`round ${round + 1}: ${contestant.name}`)
      const answer = await workers[index]!.ask({ type: 'run', texts })
      contestant.bestMs = Math.min(contestant.bestMs, answer.ms)
      contestant.leastProcessorMs = Math.min(contestant.leastProcessorMs, answer.processorMs)
      const bytes = Uint8Array.from(Buffer.from(answer.vectors, 'base64'))
      contestant.vectors = new Float32Array(bytes.buffer)
      tokens = Math.max(tokens, answer.tokens)
    }
  }
  return tokens
}

/** One to eight sentences each: what is embedded is seldom of one length. */
async function readTexts(count: number): Promise<string[]> {
  const file = join(import.meta.dirname, '../perplexity.txt')
  const prose = (await readFile(file, 'utf8')).replaceAll(/\s+/g, ' ')
  const sentences = prose.split(/(?<=[.!?]) /)
  let next = 0
  return Array.from({ length: count }, (_, index) => {
    const length = [1, 1, 1, 2, 3, 5, 8][index % 7] ?? 1
    const from = next % (sentences.length - length)
    next += 13
    return sentences
      .slice(from, from + length)
      .join(' ')
      .slice(0, 900)
  })
}

async function fetchModel(): Promise<string> {
  const source = (await readRegistry()).models.get(MODEL)?.sources[0]
  if (!source) throw new Error(`The registry does not know ${MODEL}. This is a bug.`)
  const { path } = await fetchSource(source.source, {
    cacheDir: join(DATA_DIR, 'cache'),
    settings: sourceSettings(cleanEnvironment()),
    pins: source.pins,
  })
  return path
}

/** @returns the folder that holds the model's */
async function exportFor(folder: string): Promise<string> {
  const home = join(HOME, 'exports', MODEL)
  await mkdir(join(home, 'onnx'), { recursive: true })
  for (const name of ['config.json', 'tokenizer.json', 'tokenizer_config.json']) {
    await cp(join(folder, name), join(home, name))
  }
  const source = await openEncoder(folder)
  if (source?.kind !== 'checkpoint') throw new Error(`${folder} holds no checkpoint`)
  await exportEncoder(source.checkpoint, join(home, 'onnx'))
  await source.checkpoint.close()
  return join(HOME, 'exports')
}

async function importAt(path: string, precision: Precision): Promise<string> {
  const folder = join(HOME, precision)
  await mkdir(folder)
  const sha256 = '0'.repeat(64)
  const draft = await importVersion({
    path,
    folder,
    model: 'bench',
    precision,
    source: { kind: 'folder', reference: path, revision: null, sha256 },
    licence: null,
    threads: 1,
  })
  const { graph, tokenizer } = draft
  const names = [graph.file, graph.dataFile ?? graph.file, tokenizer.file, tokenizer.configFile]
  const files = Object.fromEntries(names.map((name) => [name, { sha256, bytes: 1 }]))
  const manifest = { ...draft, version: '1', created: new Date().toISOString(), files }
  await writeFile(join(folder, MANIFEST_FILE), JSON.stringify(manifest))
  return folder
}

/** null where there is no Python that has it */
async function sentenceTransformers(folder: string, texts: string[]): Promise<Float32Array | null> {
  // What was fetched lies in one folder; theirs has the pooling in a folder of its own.
  const whole = join(HOME, 'sentence-transformers')
  await cp(folder, whole, { recursive: true })
  await cp(join(folder, '1_Pooling.config.json'), join(whole, '1_Pooling/config.json'))
  const file = join(HOME, 'texts.json')
  await writeFile(file, JSON.stringify(texts))
  const script = join(import.meta.dirname, 'sentence_transformers_reference.py')
  try {
    const { stdout } = await promisify(execFile)(values.python, [script, whole, file], {
      encoding: 'buffer',
      maxBuffer: 1 << 30,
      env: cleanEnvironment({ HF_HUB_OFFLINE: '1' }),
    })
    return new Float32Array(Uint8Array.from(stdout).buffer)
  } catch {
    return null
  }
}

function cosines(a: Float32Array, b: Float32Array, count: number) {
  const width = a.length / count
  const all = Array.from({ length: count }, (_, text) => {
    let [dot, left, right] = [0, 0, 0]
    for (let i = text * width; i < (text + 1) * width; i++) {
      dot += a[i]! * b[i]!
      left += a[i]! ** 2
      right += b[i]! ** 2
    }
    return dot / Math.sqrt(left * right)
  })
  return { least: Math.min(...all), mean: all.reduce((sum, one) => sum + one, 0) / count }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
