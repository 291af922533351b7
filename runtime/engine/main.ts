// The engine process: loads one version, tells its host how that goes, and runs the loop until there is no more to do.
//
// It is forked by the host with its settings as JSON in the first argument, talks over Node's IPC channel (messages.ts) and
// ends with the host: when the channel closes, so does everything here. A forward pass that throws ends the process; the
// host starts another.
//
// Knows: how the parts of an engine are put together. Does not know: what they do, other engines, HTTP.

import path from 'node:path'

import { readManifest } from '../../models/manifest.ts'
import type { DecoderManifest, EncoderManifest } from '../../models/manifest.ts'
import { EncoderEngine } from '../encoder/engine.ts'
import { openEncoderRunner } from '../encoder/open-runner.ts'
import { loadEncoderText } from '../encoder/text.ts'
import { readPackedAdapter } from '../graph/packed-adapter-file.ts'
import { loadOrt } from '../ort/api.ts'
import { openDevice } from '../ort/device.ts'
import { formatDevice } from '../ort/device-choice.ts'
import { OutOfMemory } from '../ort/memory.ts'
import type { RuntimeFailure } from '../protocol.ts'
import { Arrivals } from './arrivals.ts'
import { chooseCacheSize, kvBytesPerToken } from './cache-size.ts'
import { checkDevice } from './device-check.ts'
import { deviceMismatch } from './device-mismatch.ts'
import { Engine } from './engine.ts'
import type { Loop } from './loop.ts'
import type { EngineMessage, EngineRequest, EngineSettings, HostMessage } from './messages.ts'
import { openRunner } from './open-runner.ts'
import type { Runner } from './runner.ts'
import { tryOut } from './trial.ts'
import { loadText } from './text/text.ts'

// The rest is for what a pass computes with between its operators.
const CACHE_SHARE = 0.85

await main(process.argv[2])

async function main(argument: string | undefined): Promise<void> {
  if (!process.send || argument === undefined) {
    fail(
      new Error(
        `${path.basename(import.meta.filename)} is started by a runtime host, not by hand.`,
      ),
    )
  }
  process.on('disconnect', () => process.exit(0))
  process.on('uncaughtException', fail)
  // A terminal interrupts everybody in it. The host is who answers: it drains, then tells us.
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => {})

  const settings = JSON.parse(argument) as EngineSettings
  let engine: Loop
  try {
    engine = await load(settings)
  } catch (error) {
    const isTransient = isOutOfMemory(error)
    const code = isTransient ? 'internal' : 'version_unusable'
    const what = isTransient ? "can't be loaded for want of memory" : "can't be served"
    const message = `Version '${settings.version}' ${what}: ${describe(error)}`
    send({ type: 'error', error: { code, message } }, () => process.exit(1))
    return
  }
  serve(engine)
}

async function load(settings: EngineSettings): Promise<Loop> {
  const startMs = performance.now()
  send({ type: 'progress', phase: 'starting' })
  const manifest = await readManifest(settings.folder)
  const loop =
    manifest.kind === 'generate'
      ? await loadDecoder(manifest, settings)
      : await loadEncoder(manifest, settings)
  send({ type: 'ready', loadMs: performance.now() - startMs })
  return loop
}

/** It computes on the processor, whatever the device is: texts are short, and read once. */
async function loadEncoder(manifest: EncoderManifest, settings: EngineSettings): Promise<Loop> {
  const { folder, threads, batchTokens, maxWaiting } = settings
  const text = await loadEncoderText(folder, manifest)
  send({ type: 'progress', phase: 'loading' })
  // A text that is longer than a batch goes alone.
  const maxCells = Math.max(batchTokens, manifest.contextLength)
  const ort = loadOrt(settings.library ?? undefined)
  const runner = openEncoderRunner(ort, folder, manifest, { threads, maxCells })
  send({ type: 'progress', phase: 'warming' })
  const { padTokenId } = manifest.tokenizer
  runner.run([{ ids: [padTokenId, padTokenId], segments: null }])
  const now = () => performance.now()
  const { output } = manifest
  return new EncoderEngine({ runner, text, output, batchTokens, maxWaiting, now })
}

async function loadDecoder(manifest: DecoderManifest, settings: EngineSettings): Promise<Loop> {
  const { folder, prefillChunk, maxWaiting, threads } = settings
  const mismatch = deviceMismatch(manifest, settings.device.kind)
  if (mismatch !== null) throw new Error(mismatch)
  const ort = loadOrt(settings.library ?? undefined)
  const device = openDevice(ort, settings.device)
  const freeBytes = device.freeBytes()
  const { slots, capacity } = chooseCacheSize({
    slots: Math.min(settings.slots, device.mostSlots ?? Infinity),
    contextTokens: Math.min(manifest.contextLength, settings.contextTokens ?? Infinity),
    bytesPerToken: kvBytesPerToken(manifest),
    budgetBytes: Math.min(settings.kvBudgetBytes, cacheRoom(manifest, freeBytes)),
  })
  const text = await loadText(folder, manifest, capacity)
  send({ type: 'progress', phase: 'loading' })
  const runner = openRunner(ort, folder, manifest, {
    device,
    slots,
    capacity,
    threads,
    maxPrefill: prefillChunk,
  })
  send({ type: 'progress', phase: 'warming' })
  warmUp(runner, manifest.tokenizer.bosTokenId ?? 0)
  const wrong = device.choice.kind === 'cpu' ? null : checkDevice(runner)
  if (wrong !== null) throw new Error(`${formatDevice(device.choice)} computes wrongly: ${wrong}`)
  const now = () => performance.now()
  const { sampling } = manifest
  const options = { runner, text, sampling, prefillChunk, maxWaiting, now }
  // An engine of its own, so that figures begin with the first request.
  tryOut(new Engine(options))
  const leftBytes = device.freeBytes()
  if (freeBytes !== null && leftBytes !== null) {
    // Loads are admitted one after the other, so that nobody else took or gave much meanwhile.
    send({ type: 'device', bytes: Math.max(0, freeBytes - leftBytes) })
  }
  return new Engine({ ...options, version: settings.version })
}

/** What a device's own memory has room for beside the weights, since all of a cache is taken there at once. */
function cacheRoom({ files, graph }: DecoderManifest, freeBytes: number | null): number {
  if (freeBytes === null) return Infinity
  const weightBytes = files[graph.dataFile]?.bytes ?? 0
  return Math.max(0, CACHE_SHARE * (freeBytes - weightBytes))
}

/** ONNX Runtime has no code of its own for it: what it says is the C++ library's word, or its allocator's. */
function isOutOfMemory(error: unknown): boolean {
  if (error instanceof OutOfMemory) return true
  return (
    error instanceof Error && /bad_alloc|failed to allocate|cannot allocate/i.test(error.message)
  )
}

/** The first passes read the weights from disk and prepare kernels; no request should wait for that. */
function warmUp(runner: Runner, token: number): void {
  runner.prefill(0, [token, token], 0, 'candidates')
  runner.decode([token], [2], 'logits')
}

function serve(engine: Loop): void {
  let isTurning = false
  let isDraining = false

  const turn = () => {
    engine.step()
    const events = engine.takeEvents()
    if (events.length > 0) send({ type: 'events', events })
    rest()
  }
  const rest = () => {
    isTurning = !engine.isIdle
    // Through the event loop, where requests and cancellations arrive.
    if (isTurning) setImmediate(turn)
    else if (isDraining && arrivals.isEmpty)
      send({ type: 'events', events: engine.takeEvents() }, () => process.exit(0))
  }
  const wake = () => {
    const refusals = engine.takeEvents()
    if (refusals.length > 0) send({ type: 'events', events: refusals })
    if (!isTurning) rest()
  }
  const submit = (request: EngineRequest) => {
    engine.submit(request)
    wake()
  }
  const arrivals = new Arrivals({ engine, read: readPackedAdapter, submit })
  process.on('message', (message: HostMessage) => {
    switch (message.type) {
      case 'generate':
      case 'encode':
        if (!arrivals.hold(message.request)) submit(message.request)
        return
      case 'cancel':
        arrivals.cancel(message.id)
        engine.cancel(message.id)
        break
      case 'drain':
        isDraining = true
        if (arrivals.isEmpty) engine.drain()
        else {
          void arrivals.settled().then(() => {
            engine.drain()
            wake()
          })
        }
        break
      case 'stats':
        send({ type: 'stats', ask: message.ask, stats: engine.stats() })
        return
      case 'adapter': {
        const { version, folder } = message
        void arrivals.take(version, folder, (failure) => {
          const error = failure && adapterFailure(version, failure.cause)
          send({ type: 'adapter', version, error })
        })
        return
      }
      case 'drop-adapter':
        arrivals.drop(message.version)
        return
    }
    wake()
  })
}

function adapterFailure(version: string, cause: unknown): RuntimeFailure {
  const code = isOutOfMemory(cause) ? 'internal' : 'version_unusable'
  return { code, message: `Version '${version}' can't be served: ${describe(cause)}` }
}

function send(message: EngineMessage, onSent?: () => void): void {
  // A host that is gone can't be told; the channel's end ends the process.
  process.send?.(message, undefined, undefined, () => onSent?.())
}

/** The host keeps the last line. */
function fail(error: unknown): never {
  console.error(error)
  console.error(describe(error))
  process.exit(1)
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message} (${describe(error.cause)})`
}
