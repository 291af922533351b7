// What of an exchange's record is kept under a policy.
//
// Figures are kept under every policy: they are what bills and budgets are made of. Names that a caller gave (end user,
// session, tags, metadata) are kept as long as they are no secret and nobody's address: those become pseudonyms.
//
// Knows: which fields have texts. Does not know: what is found in them, where the record goes.

import type { BodyPolicy } from '../callers/body-policy.ts'
import type { ExchangeRecord } from '../exchange/exchange-record.ts'
import type { Pseudonyms } from './pseudonyms.ts'
import type { Redaction, Redactor } from './redactor.ts'

export interface KeptRecordDeps {
  redactor: Redactor
  pseudonyms: Pseudonyms
}

/** Pure: the record is not changed, and is itself returned where all of it is kept. */
export function keptRecord(
  record: ExchangeRecord,
  policy: BodyPolicy,
  { redactor, pseudonyms }: KeptRecordDeps,
): ExchangeRecord {
  if (policy === 'whole') return record
  const redaction = redactor.begin()
  const texts = policy === 'none' ? NO_TEXTS : redactedTexts(record, redaction)
  return {
    ...record,
    ...texts,
    endUser: pseudonyms.of(record.endUser),
    session: pseudonyms.of(record.session),
    tags: record.tags && record.tags.map((tag) => redaction.text(tag)),
    metadata: redaction.value(record.metadata) as ExchangeRecord['metadata'],
    requestedModel: record.requestedModel && redaction.text(record.requestedModel),
    attempts: record.attempts.map((attempt) => ({
      ...attempt,
      detail: policy === 'none' ? null : errorText(attempt.detail, redaction),
    })),
  }
}

type Texts = Pick<
  ExchangeRecord,
  'prompt' | 'answer' | 'toolCalls' | 'parameters' | 'errorMessage' | 'isStored'
>

/** An error's message may quote the prompt; its code says what happened. */
const NO_TEXTS: Texts = {
  prompt: null,
  answer: null,
  toolCalls: null,
  parameters: null,
  errorMessage: null,
  isStored: false,
}

function redactedTexts(record: ExchangeRecord, redaction: Redaction): Texts {
  const { prompt, answer, toolCalls, parameters, errorMessage } = record
  return {
    prompt: isTokens(prompt) ? TOKENS : redaction.value(prompt),
    answer: answer && answer.map((text) => redaction.text(text)),
    toolCalls:
      toolCalls &&
      toolCalls.map((calls) =>
        calls.map((call) => ({ ...call, arguments: redaction.text(call.arguments) })),
      ),
    parameters: parameters && (redaction.value(parameters) as Record<string, unknown>),
    errorMessage:
      record.errorCode === 'invalid_json' ? NO_JSON : errorText(errorMessage, redaction),
    isStored: record.isStored,
  }
}

const TOKENS = '[TOKENS]'

/** A prompt of token ids is a text that nobody here can read. */
function isTokens(prompt: unknown): boolean {
  if (!Array.isArray(prompt)) return false
  const [first] = prompt as unknown[]
  return typeof first === 'number' || (Array.isArray(first) && typeof first[0] === 'number')
}

/** Errors quote beginnings and pieces: what is cut off can't be recognised, so the ends of quotes go. */
function errorText(text: string | null, redaction: Redaction): string | null {
  if (text === null) return null
  return redaction.text(text.replaceAll(CUT_QUOTE, CUT))
}

/** The parser quotes a few characters around the first that it can't read. */
const NO_JSON = 'The request body is not valid JSON.'
const CUT = '[CUT]$1'
/** the end of a quote that was cut, before what shows it: an ellipsis, or JSON.parse's dots */
const CUT_QUOTE = /[^…]{1,64}(…)/g
