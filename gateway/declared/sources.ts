// What the file and the admin API declare, as one: the file wins where both have a name.
//
// Knows: declarations. Does not know: files, tables, what is made of a declaration.

import type { Declaration } from './schema.ts'

export class Sources {
  readonly #declare: (declaration: Declaration) => void
  #file: Declaration = {}
  #stored: Declaration = {}

  /** @param declare @throws where a declaration can't be put to work, with nothing changed */
  constructor(declare: (declaration: Declaration) => void) {
    this.#declare = declare
  }

  get file(): Declaration {
    return this.#file
  }

  /** @throws what `declare` throws, with nothing changed */
  fromFile(file: Declaration): void {
    this.#declare(merge(file, this.#stored))
    this.#file = file
  }

  /** @throws what `declare` throws, with nothing changed */
  fromStore(stored: Declaration): void {
    this.#declare(merge(this.#file, stored))
    this.#stored = stored
  }
}

function merge(file: Declaration, stored: Declaration): Declaration {
  return {
    ...file,
    upstreams: { ...stored.upstreams, ...file.upstreams },
    models: { ...stored.models, ...file.models },
  }
}
