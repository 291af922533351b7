// One request: its texts, how far they are, and the answer as it grows.
//
// Knows: what was asked, what the version's numbers mean. Does not know: batches, other requests.

import type { EncoderOutput } from '../../models/encoder.ts'
import type { EncodeEvent, EncodeRequest, EncoderInput, EncodeResult, Entity } from '../protocol.ts'
import { Refusal } from '../engine/refusal.ts'
import { entitiesOf, probabilitiesOf, scoreOf } from './meaning.ts'
import type { EncodedText, Rows } from './runner.ts'
import type { EncoderText } from './text.ts'
import { vectorOf } from './vectors.ts'

export class Asked {
  readonly id: string
  readonly #request: EncodeRequest
  readonly #output: EncoderOutput
  readonly #text: EncoderText
  readonly #receivedMs: number
  readonly #inputs: EncoderInput[]
  #read = 0
  #done = 0
  #tokens = 0
  #begunMs: number | null = null
  readonly #vectors: string[] = []
  /** one for each document, or one list for each text */
  readonly #scores: number[] = []
  readonly #labelled: number[][] = []
  readonly #entities: Entity[][] = []

  constructor(
    request: EncodeRequest,
    output: EncoderOutput,
    text: EncoderText,
    receivedMs: number,
  ) {
    this.id = request.id
    this.#request = request
    this.#output = output
    this.#text = text
    this.#receivedMs = receivedMs
    this.#inputs = inputsOf(request)
  }

  get hasBegun(): boolean {
    return this.#begunMs !== null
  }

  get isDone(): boolean {
    return this.#done === this.#inputs.length
  }

  /**
   * Tokenises the next text; null where there is none.
   * @throws Refusal where it can't be read
   */
  read(): { index: number; text: EncodedText } | null {
    const index = this.#read
    const input = this.#inputs[index]
    if (input === undefined) return null
    this.#read++
    if (this.#output.kind === 'token-classify' && typeof input !== 'string') {
      const message = `This version finds names of things in texts; input[${index}] is none.`
      throw new Refusal('invalid_request', message)
    }
    const text = this.#text.encode(input, this.#nameOf(index), this.#request.truncate ?? false)
    this.#tokens += text.ids.length
    return { index, text }
  }

  begin(nowMs: number): void {
    this.#begunMs ??= nowMs
  }

  /**
   * @param place of the text in the batch that was computed
   * @throws Refusal where what was computed are no numbers: JSON has none of them, and what came out as null would be stored
   */
  take(index: number, text: EncodedText, rows: Rows, place: number): void {
    this.#done++
    const output = this.#output
    switch (output.kind) {
      case 'embed': {
        const { task } = this.#request
        const wanted = task === 'embed' ? this.#request.dimensions : undefined
        const tokens = text.ids.length
        const vector = vectorOf(rows, place, tokens, output, wanted ?? output.dimensions)
        this.#requireNumbers(index, vector)
        this.#vectors[index] = base64Of(vector)
        return
      }
      case 'rerank': {
        const score = scoreOf(rows, place)
        this.#requireNumbers(index, [score])
        this.#scores[index] = score
        return
      }
      case 'classify': {
        const scores = probabilitiesOf(rows, place, output)
        this.#requireNumbers(index, scores)
        this.#labelled[index] = scores
        return
      }
      case 'token-classify': {
        const input = this.#inputs[index]
        const words = typeof input === 'string' ? input : ''
        const spans = this.#text.spans(words, text)
        const { labels } = output
        const entities = entitiesOf(rows, place, { text: words, spans, labels })
        this.#requireNumbers(
          index,
          entities.map(({ score }) => score),
        )
        this.#entities[index] = entities
      }
    }
  }

  encoded(nowMs: number): EncodeEvent {
    const begunMs = this.#begunMs ?? nowMs
    return {
      type: 'encoded',
      result: this.#result(),
      promptTokens: this.#tokens,
      queueMs: begunMs - this.#receivedMs,
      computeMs: nowMs - begunMs,
    }
  }

  #nameOf(index: number): string {
    return `${this.#request.task === 'rerank' ? 'documents' : 'input'}[${index}]`
  }

  #requireNumbers(index: number, numbers: ArrayLike<number>): void {
    for (let i = 0; i < numbers.length; i++) {
      if (Number.isFinite(numbers[i])) continue
      const what = `The graph of '${this.#request.version}' gave NaN or infinity`
      throw new Refusal('internal', `${what} for ${this.#nameOf(index)}.`)
    }
  }

  #result(): EncodeResult {
    const output = this.#output
    switch (output.kind) {
      case 'embed':
        return { kind: 'vectors', vectors: this.#vectors }
      case 'rerank':
        return { kind: 'scores', scores: this.#scores }
      case 'classify':
        return { kind: 'labels', labels: output.labels, scores: this.#labelled }
      case 'token-classify':
        return { kind: 'entities', entities: this.#entities }
    }
  }
}

function inputsOf(request: EncodeRequest): EncoderInput[] {
  if (request.task !== 'rerank') return request.inputs
  return request.documents.map((document) => ({ text: request.query, pair: document }))
}

/** 32-bit numbers, little-endian: what every machine that this runs on has in memory. */
function base64Of({ buffer, byteOffset, byteLength }: Float32Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64')
}
