// The text of headrace.yaml as a declaration, or everything that is wrong with it, each with its line.
//
// `${NAME}` and `${NAME:-default}` in values are replaced from the environment. What came from there may be a secret and is
// never quoted.
//
// Knows: YAML, the schema, what the schema can't say. Does not know: where the text comes from.

import { Ajv } from 'ajv'
import type { ErrorObject } from 'ajv'
import { isMap, isScalar, LineCounter, parseDocument, visit } from 'yaml'
import type { Document } from 'yaml'

import { nearestName } from '../nearest-name.ts'
import { DeclarationSchema } from './schema.ts'
import type { Declaration, DeclaredTarget, DeclaredUpstream } from './schema.ts'

export class DeclarationError extends Error {
  override name = 'DeclarationError'
  /** one sentence for each problem, with its line */
  readonly problems: string[]

  constructor(file: string, problems: string[]) {
    super(`${file} can't be used:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
    this.problems = problems
  }
}

type Path = (string | number)[]

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

const validate = new Ajv({ allErrors: true, verbose: true, strict: false }).compile<Declaration>(
  DeclarationSchema,
)

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
    const declared: unknown = this.#document.toJS() ?? {}
    // An empty value in the place of a variable would only say the same again.
    if (this.problems.length > 0) return null
    if (!validate(declared)) {
      for (const error of validate.errors ?? []) this.#violation(error)
      return null
    }
    this.#check(declared)
    return this.problems.length > 0 ? null : declared
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

  #violation({ keyword, instancePath, params, message, data, parentSchema }: ErrorObject) {
    const path = pathOf(instancePath)
    if (keyword === 'additionalProperties') {
      const { additionalProperty: unknown } = params as { additionalProperty: string }
      const known = Object.keys(
        (parentSchema as { properties?: object } | undefined)?.properties ?? {},
      )
      const nearest = nearestName(unknown, known)
      const hint = nearest ? `did you mean '${nearest}'?` : `there are ${known.join(', ')}.`
      return this.#problem([...path, unknown], `'${unknown}' is not known here; ${hint}`)
    }
    if (keyword === 'required') {
      const { missingProperty: missing } = params as { missingProperty: string }
      return this.#problem(path, `'${missing}' is missing.`)
    }
    const allowed =
      keyword === 'enum'
        ? `must be one of ${(params as { allowedValues: unknown[] }).allowedValues.join(', ')}`
        : message
    this.#problem(path, `${allowed}; got ${this.#quote(path, data)}.`)
  }

  /** What the schema can't say. */
  #check({ upstreams = {}, models = {}, default_upstream: standard }: Declaration) {
    for (const [name, upstream] of Object.entries(upstreams)) {
      this.#checkUpstream(['upstreams', name], upstream)
    }
    if (standard !== undefined && !upstreams[standard]) {
      this.#unknownUpstream(['default_upstream'], standard, upstreams)
    }
    for (const [name, model] of Object.entries(models)) {
      if (name.includes('@')) {
        this.#problem(['models', name], `a model's name can't have an '@', which names a version.`)
      }
      const seen = new Set<string>()
      for (const list of ['targets', 'fallbacks'] as const) {
        for (const [index, target] of (model[list] ?? []).entries()) {
          const path = ['models', name, list, index]
          this.#checkTarget(path, target, upstreams)
          const id = target.version ?? `${target.model}@${target.upstream}`
          if (seen.has(id)) this.#problem(path, `${id} is a target of this model already.`)
          seen.add(id)
        }
      }
      if (model.targets.every(({ weight }) => weight === 0)) {
        this.#problem(['models', name, 'targets'], 'no target has any weight.')
      }
    }
  }

  #checkUpstream(path: Path, { api, base_url: baseUrl, headers }: DeclaredUpstream) {
    if (baseUrl === undefined && (api === 'azure' || api === 'compatible')) {
      this.#problem(path, `'base_url' is missing: it is needed where 'api' is ${api}.`)
    }
    if (baseUrl !== undefined) {
      const url = URL.parse(baseUrl)
      const isUsable = url && /^https?:$/.test(url.protocol) && !url.username && !url.password
      if (!isUsable || url.search || url.hash) {
        const allowed =
          'must be an address that begins with https:// or http://, without a password'
        this.#problem(
          [...path, 'base_url'],
          `${allowed}; got ${this.#quote([...path, 'base_url'], baseUrl)}.`,
        )
      }
    }
    for (const [header, value] of Object.entries(headers ?? {})) {
      if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(header) || /[\r\n\0]/.test(value)) {
        this.#problem([...path, 'headers', header], 'is no header that can be sent.')
      }
    }
  }

  #checkTarget(
    path: Path,
    { version, upstream, model }: DeclaredTarget,
    upstreams: Record<string, DeclaredUpstream>,
  ) {
    if ((version === undefined) === (upstream === undefined)) {
      this.#problem(path, "a target has either 'version' (of the library) or 'upstream'.")
    } else if (upstream !== undefined) {
      if (!upstreams[upstream]) this.#unknownUpstream([...path, 'upstream'], upstream, upstreams)
      if (model === undefined) this.#problem(path, "'model' is missing: its name at the upstream.")
    } else if (model !== undefined) {
      this.#problem([...path, 'model'], "'model' belongs to an upstream; 'version' says all.")
    }
  }

  #unknownUpstream(path: Path, given: string, upstreams: object) {
    const known = Object.keys(upstreams)
    const nearest = nearestName(given, known)
    const hint = nearest
      ? `did you mean '${nearest}'?`
      : `declared are ${known.length > 0 ? known.join(', ') : 'none'}.`
    this.#problem(path, `there is no upstream '${given}'; ${hint}`)
  }

  #problem(path: Path, what: string) {
    const where = path.length > 0 ? `${written(path)}: ` : ''
    this.problems.push(`line ${this.#lineOf(path)}: ${where}${what}`)
  }

  #quote(path: Path, value: unknown): string {
    const isSecret = this.#secret.has(value) || path.at(-1) === 'key' || path.includes('headers')
    if (isSecret) return 'a value that is not shown'
    if (typeof value === 'object' && value !== null)
      return Array.isArray(value) ? 'a list' : 'a map'
    return JSON.stringify(value)
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

function pathOf(pointer: string): Path {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part))
}

/** `models.chat.targets[0]` */
function written(path: Path): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`
    return text === '' ? part : `${text}.${part}`
  }, '')
}
