// The text of headrace.yaml as a declaration, or everything that is wrong with it, each with its line.
//
// `${NAME}` and `${NAME:-default}` in values are replaced from the environment, where a number is meant too. What came
// from there may be a secret and is never quoted.
//
// Knows: YAML, variables, lines. Does not know: what a declaration may say, where the text comes from.

import { isMap, isScalar, LineCounter, parseDocument, stringify, visit } from 'yaml'
import type { Document } from 'yaml'

import { problemsOf, written } from './check.ts'
import { readFilled } from './filled-numbers.ts'
import { DeclarationSchema } from './schema.ts'
import type { Path } from './check.ts'
import type { Declaration } from './schema.ts'

export class DeclarationError extends Error {
  override name = 'DeclarationError'
  /** one sentence for each problem, with its line */
  readonly problems: string[]

  constructor(file: string, problems: string[]) {
    super(`${file} can't be used:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
    this.problems = problems
  }
}

const VARIABLE = /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g

/**
 * @param file how the text is called in errors
 * @throws DeclarationError with every problem
 */
export function readDeclaration(
  text: string,
  file: string,
  env: Record<string, string | undefined>,
): Declaration {
  const reader = new Reader(text, env)
  const declaration = reader.read()
  if (!declaration) throw new DeclarationError(file, reader.problems)
  return declaration
}

/**
 * What the operator wants taken out of texts, and nothing else: whoever needs that alone has not the keys of upstreams in
 * the environment.
 * @throws DeclarationError
 */
export function readPatterns(
  text: string,
  file: string,
  env: Record<string, string | undefined>,
): Record<string, string> {
  const document = parseDocument(text, { prettyErrors: false })
  const redact = document.errors.length > 0 ? null : document.get('redact')
  // What is no YAML is told with its lines.
  const part = redact === null ? text : stringify({ redact })
  return readDeclaration(part, file, env).redact ?? {}
}

class Reader {
  readonly problems: string[] = []
  readonly #lines = new LineCounter()
  readonly #document: Document
  readonly #env: Record<string, string | undefined>
  /** values that came from the environment */
  readonly #secret = new Set<unknown>()

  constructor(text: string, env: Record<string, string | undefined>) {
    this.#env = env
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false })
  }

  read(): Declaration | null {
    for (const { message, pos } of this.#document.errors) {
      this.problems.push(`line ${this.#lines.linePos(pos[0]).line}: ${message}`)
    }
    if (this.problems.length > 0) return null
    this.#substitute()
    const isSecret = (value: unknown) => this.#secret.has(value)
    const declared = readFilled(this.#plain(), DeclarationSchema, isSecret, (value) =>
      this.#secret.add(value),
    )
    // An empty value in the place of a variable would only say the same again.
    if (this.problems.length > 0) return null
    for (const { path, what } of problemsOf(declared, { isSecret })) {
      this.#problem(path, what)
    }
    // Checked just now.
    return this.problems.length > 0 ? null : (declared as Declaration)
  }

  #plain(): unknown {
    try {
      return this.#document.toJS() ?? {}
    } catch (error) {
      // Aliases of aliases that would not fit into memory, or of what is not there.
      this.problems.push(error instanceof Error ? `${error.message}.` : String(error))
      return {}
    }
  }

  #substitute() {
    visit(this.#document, {
      Pair: (_key, pair) => {
        if (isScalar(pair.value)) this.#fill(pair.value)
      },
      Seq: (_key, sequence) => {
        for (const item of sequence.items) if (isScalar(item)) this.#fill(item)
      },
    })
  }

  #fill(scalar: { value: unknown; range?: [number, number, number] | null }) {
    const { value } = scalar
    if (typeof value !== 'string' || !value.includes('${')) return
    scalar.value = value.replaceAll(VARIABLE, (_whole, name: string, otherwise?: string) => {
      const given = this.#env[name]
      if (given !== undefined && given !== '') return given
      if (otherwise !== undefined) return otherwise
      const line = this.#lines.linePos(scalar.range?.[0] ?? 0).line
      this.problems.push(`line ${line}: the variable ${name} is not set.`)
      return ''
    })
    this.#secret.add(scalar.value)
  }

  #problem(path: Path, what: string) {
    const where = path.length > 0 ? `${written(path)}: ` : ''
    this.problems.push(`line ${this.#lineOf(path)}: ${where}${what}`)
  }

  /** The line of the key that the path ends in, or of the nearest thing above it that is there. */
  #lineOf(path: Path): number {
    for (let length = path.length; length > 0; length--) {
      const parent =
        length === 1
          ? this.#document.contents
          : this.#document.getIn(path.slice(0, length - 1), true)
      const last = path[length - 1]
      if (isMap(parent)) {
        const key = parent.items.find((pair) => isScalar(pair.key) && pair.key.value === last)?.key
        if (isScalar(key) && key.range) return this.#lines.linePos(key.range[0]).line
      }
      const node = this.#document.getIn(path.slice(0, length), true)
      if (hasRange(node)) return this.#lines.linePos(node.range[0]).line
    }
    return 1
  }
}

function hasRange(node: unknown): node is { range: [number, number, number] } {
  return typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range)
}
