// Names that stand for an end user whose own name is an address, a number or a secret.
//
// The same name is the same pseudonym on every replica and for ever, so that figures by end user hold and an end user can
// be found to be erased. They are made with a key that only this installation's database has: a list of addresses does
// not tell whose they are.

import { createHmac } from 'node:crypto'

import type { Redactor } from './redactor.ts'

const DIGITS = 24

export class Pseudonyms {
  readonly #redactor: Redactor
  readonly #key: Buffer

  constructor(redactor: Redactor, key: Buffer) {
    this.#redactor = redactor
    this.#key = key
  }

  /** The name itself where nothing in it has to be hidden. */
  of(name: string | null): string | null {
    if (name === null || this.#redactor.find(name).length === 0) return name
    return this.made(name)
  }

  /** Also for one that could be kept as it is. */
  made(name: string): string {
    return `user-${createHmac('sha256', this.#key).update(name).digest('hex').slice(0, DIGITS)}`
  }
}
