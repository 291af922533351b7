// A worker that computes with a version's graph, set up as the runtime host sets its engines up.

import { join } from 'node:path'

import { Worker } from '../worker.ts'
import type { ForwardAnswer, ForwardAsk } from './forward.ts'

type AskOf<Type> = Extract<ForwardAsk, { type: Type }>
type AnswerOf<Type> = Extract<ForwardAnswer, { type: Type }>

/** Computes in a process of its own, which is gone when this returns. */
export async function compute<Type extends ForwardAsk['type']>(
  ask: AskOf<Type>,
  signal: AbortSignal,
): Promise<AnswerOf<Type>> {
  await using worker = new Worker<AskOf<Type>, AnswerOf<Type>>(
    `${ask.type} of ${ask.version.id}`,
    join(import.meta.dirname, 'forward.ts'),
    signal,
    // As runtime/host/engine-process.ts has it.
    { ORT_GQA_DISABLE_FLASH_ATTENTION: '1' },
  )
  return await worker.ask(ask)
}
