// `make bench`: how fast Headrace is, what its precisions cost, and whether it computes what the model is.
//
// Tables on stdout, progress on stderr. Everything runs in processes of its own that are gone at the end, however that
// comes; what was fetched and made is kept in .cache/bench.

import { writeFile } from 'node:fs/promises'

import { barsTable, judge } from './bars.ts'
import type { Results } from './bars.ts'
import { installLlamaCpp, whyNoLlamaCpp } from './llama-cpp/package.ts'
import { makeQuantisations } from './llama-cpp/quantisations.ts'
import { notes } from './notes.ts'
import { readOptions, USAGE } from './options.ts'
import type { BenchOptions } from './options.ts'
import type { Progress } from './progress.ts'
import { Prompts, readTextIds } from './prompts.ts'
import { measurePerplexities, perplexityTable } from './quality/perplexity-section.ts'
import { compareWithPyTorch, referenceTable } from './quality/reference-section.ts'
import { print, runBench } from './run.ts'
import { gatewayTable, measureGateway } from './speed/gateway-section.ts'
import { loadingTable, measureSpeed, ratioTable, speedTable } from './speed/section.ts'
import { prepareModel } from './versions.ts'
import type { BenchModel } from './versions.ts'

await runBench({ name: 'bench', usage: USAGE, readOptions, run: bench })

async function bench(
  options: BenchOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const { sections } = options
  const model = await prepareModel(progress, signal)
  print(`# Headrace bench, ${new Date().toISOString()}\n\n${await notes(model, options)}\n`)

  const run = { ...options, progress, signal }
  const results: Results = {}
  if (sections.has('engine') || sections.has('llama')) {
    results.speed = await speedSection(model, run)
  }
  if (sections.has('gateway')) {
    results.gateway = []
    for (const version of model.versions.values()) {
      results.gateway.push(...(await measureGateway(version, await promptsOf(model), run)))
    }
    print(`## Through the gateway\n\n${gatewayTable(results.gateway)}\n`)
  }
  if (sections.has('perplexity')) {
    results.perplexity = await measurePerplexities(model, run)
    print(`## Perplexity\n\n${perplexityTable(results.perplexity)}\n`)
  }
  if (sections.has('reference')) {
    results.reference = await compareWithPyTorch(model, run)
    const { reference } = results
    const shown =
      'figures' in reference ? referenceTable(reference.figures) : `Skipped: ${reference.reason}.`
    print(`## fp32 against PyTorch\n\n${shown}\n`)
  }
  const bars = judge(results)
  print(`## What is promised\n\n${barsTable(bars)}`)
  if (options.jsonFile !== null) {
    const { rounds, threads, generatedTokens } = options
    const json = { rounds, threads, generatedTokens, ...results, bars }
    await writeFile(options.jsonFile, `${JSON.stringify(json, null, 2)}\n`)
  }
}

async function speedSection(
  model: BenchModel,
  options: BenchOptions & { progress: Progress; signal: AbortSignal },
) {
  const { sections, progress, signal } = options
  const reason = sections.has('llama') ? whyNoLlamaCpp() : 'not asked for'
  if (reason === null) await installLlamaCpp(progress, signal)
  const quantisations =
    reason === null ? await makeQuantisations(model.checkpointFile, options) : []
  const figures = await measureSpeed(model, await promptsOf(model), { ...options, quantisations })
  print(`## Loading\n\n${loadingTable(figures.loading)}\n`)
  print(`## Speed through the engine\n\n${speedTable(figures.measured)}\n`)
  print(figures.ratios.length > 0 ? `${ratioTable(figures.ratios)}\n` : `llama.cpp: ${reason}.\n`)
  return figures
}

async function promptsOf(model: BenchModel): Promise<Prompts> {
  const version = model.versions.get('fp32')
  if (!version) throw new Error('There is no fp32 version. This is a bug.')
  return new Prompts(await readTextIds(version), version.manifest.architecture.vocabSize)
}
