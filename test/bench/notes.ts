// What has to be known to read the figures: the machine, the versions, what is counted and what is not.

import { readFile } from 'node:fs/promises'
import { arch, availableParallelism, cpus, loadavg, platform, totalmem } from 'node:os'

import ort from 'onnxruntime-node/package.json' with { type: 'json' }

import packageJson from '../../package.json' with { type: 'json' }
import { LLAMA_CPP_RELEASE } from './llama-cpp/package.ts'
import type { BenchOptions } from './options.ts'
import type { BenchModel } from './versions.ts'

// What decides which kernels a forward pass runs.
const FLAGS = ['avx2', 'avx512f', 'avx512_vnni', 'avx_vnni', 'amx_int8', 'amx_bf16', 'asimddp']

export async function notes(model: BenchModel, options: BenchOptions): Promise<string> {
  const { threads, rounds, generatedTokens, isQuick } = options
  const cpu = cpus()[0]?.model ?? 'unknown'
  const flags = await cpuFlags()
  const lines = [
    `- Machine: ${cpu}, ${availableParallelism()} cores (${platform()}-${arch()}${flags}), ` +
      `${(totalmem() / 2 ** 30).toFixed(0)} GiB; load ${loadavg()[0]?.toFixed(1)} at the start.`,
    `- Versions: headrace ${packageJson.version}, Node ${process.versions.node}, onnxruntime-node ` +
      `${ort.version}, ${LLAMA_CPP_RELEASE}.`,
    `- Model: ${model.name} from ${model.source}. Its 4-bit GGUF is what every precision and every quantisation is ` +
      'made from, so fp32 is that checkpoint exactly, not the original before it was quantised.',
    `- ${threads} threads for each forward pass, ours and llama.cpp's, without pinning.`,
    `- Engine: the process that the runtime host forks, with the host's defaults but for the context, over Node's IPC ` +
      'channel; greedy, past the end of the answer. Sampling, detokenising and the channel are in its figures.',
    '- llama.cpp: one llama_decode a step on one token of each sequence, with logits, nothing sampled and no text made ' +
      '(in its favour); 512 prompt tokens as one batch; f16 KV cache; with and without flash attention, the faster counts.',
    `- prefill 512: one prompt of 512 tokens that nothing is cached of, until its first token. decode n: n sequences of ` +
      `128 prompt tokens, ${generatedTokens} generated each, tokens a second while all of them decode.`,
    `- Gateway: \`headrace serve\` with its own PostgreSQL; POST /v1/completions, server-sent events, prompts as token ids. ` +
      'The client and all processes share the cores. Ends of answers are honoured, by the engine beside it too.',
    `- ${rounds} ${rounds === 1 ? 'round' : 'rounds'}, contestants in turn, nothing discarded; medians, and the best round beside them.`,
  ]
  if (isQuick) lines.push('- A quick run: it shows that everything works, not how fast it is.')
  return lines.join('\n')
}

async function cpuFlags(): Promise<string> {
  const text = await readFile('/proc/cpuinfo', 'utf8').catch(() => '')
  const present = /^(?:flags|Features)\s*:(.*)$/m.exec(text)?.[1]?.split(' ') ?? []
  const known = FLAGS.filter((flag) => present.includes(flag))
  return known.length > 0 ? `, ${known.join(' ')}` : ''
}
