// What may be kept of texts, for whoever is about to keep some.
//
// Knows: the server's policy, the operator's patterns. Does not know: who asks, where texts are kept.

import { keptRecord } from './kept-record.ts'
import { OwnPatterns } from './own-patterns.ts'
import { Pseudonyms } from './pseudonyms.ts'
import { Redactor } from './redactor.ts'
import type { BodyPolicy } from '../callers/body-policy.ts'
import type { ExchangeRecord } from '../exchange/exchange-record.ts'

export interface PrivacyOptions {
  /** where neither a key nor its project says */
  byDefault: BodyPolicy
  /** that pseudonyms are made with, 32 bytes */
  pseudonymKey: Buffer
}

export class Privacy {
  readonly redactor = new Redactor()
  readonly pseudonyms: Pseudonyms
  readonly #byDefault: BodyPolicy

  constructor({ byDefault, pseudonymKey }: PrivacyOptions) {
    this.#byDefault = byDefault
    this.pseudonyms = new Pseudonyms(this.redactor, pseudonymKey)
  }

  /** What the operator wants taken out besides, by the kind that is put in its place. @throws where one is no pattern */
  usePatterns(patterns: Record<string, string>): void {
    this.redactor.useOwn(new OwnPatterns(patterns))
  }

  /** Whether texts may be kept as they are, for somebody to go on with. @param bodies the caller's policy */
  isWhole(bodies: BodyPolicy | null): boolean {
    return (bodies ?? this.#byDefault) === 'whole'
  }

  /** What somebody wrote about an answer, which may repeat it. @param bodies the caller's policy */
  keptText(text: string, bodies: BodyPolicy | null): string | null {
    const policy = bodies ?? this.#byDefault
    if (policy === 'whole') return text
    return policy === 'none' ? null : this.redactor.begin().text(text)
  }

  /** The name of an end user, as rows have it. @param bodies the caller's policy */
  keptName(name: string, bodies: BodyPolicy | null): string {
    return this.isWhole(bodies) ? name : (this.pseudonyms.of(name) ?? name)
  }

  /** What of a record may be kept, or the record itself. @param bodies the caller's policy; null: nobody is known */
  kept(record: ExchangeRecord, bodies: BodyPolicy | null): ExchangeRecord {
    return keptRecord(record, bodies ?? this.#byDefault, this)
  }
}
