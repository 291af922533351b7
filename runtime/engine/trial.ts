// One real prompt through a version that is about to be ready: what can't answer it never gets a request.
//
// Passes over made-up tokens warm kernels up; only a prompt goes through template, tokenizer and sampler as well.
//
// Knows: an engine to try, which is thrown away. Does not know: processes, what the answer should be.

import type { Engine } from './engine.ts'
import type { GenerateEvent, Prompt, RuntimeFailure } from '../protocol.ts'

const TEXT = 'Hello! How are you?'
const PROMPTS: Prompt[] = [
  { kind: 'chat', messages: [{ role: 'user', content: TEXT }] },
  // Some versions have no chat template.
  { kind: 'text', text: TEXT },
]
/** the first comes from the prompt's pass, the others from steps of their own */
const TOKENS = 4

/** @throws Error that says what became of the prompt */
export function tryOut(engine: Engine): void {
  let refusal: RuntimeFailure | null = null
  for (const [index, prompt] of PROMPTS.entries()) {
    const id = `trial-${index}`
    const sampling = { temperature: 0 }
    engine.submit({
      id,
      version: id,
      prompt,
      sampling,
      maxTokens: TOKENS,
      stop: [],
      ignoreEnd: true,
    })
    while (!engine.isIdle) engine.step()
    const events: GenerateEvent[] = engine.takeEvents().map(([, event]) => event)
    const last = events.at(-1)
    if (last?.type === 'done') return
    if (last?.type !== 'error') throw new Error('it gave no end to its answer to a first prompt')
    refusal = last.error
    // A context that is shorter than a greeting is odd, and no fault.
    if (refusal.code === 'context_length_exceeded') return
    if (refusal.code !== 'invalid_request') break
  }
  throw new Error(`it could not answer a first prompt: ${refusal?.message}`)
}
