// Everything that is wrong with a declaration: where, what was given, what is allowed.
//
// The same for headrace.yaml and for what the admin API is sent. Keys, headers, passwords in addresses and whatever
// `isSecret` knows are never quoted.
//
// Knows: the schema, and what the schema can't say. Does not know: YAML, lines, variables.

import { Ajv } from 'ajv'
import type { ErrorObject } from 'ajv'

import { isWebhookSecret, WEBHOOK_SECRET_RULE } from '../deployments/webhook-call.ts'
import { nearestName } from '../nearest-name.ts'
import { compilePattern, KIND_PATTERN } from '../privacy/own-patterns.ts'
import { DeclarationSchema } from './schema.ts'
import type { Declaration, DeclaredTarget, DeclaredUpstream } from './schema.ts'

/** keys and indices from the document's root on */
export type Path = (string | number)[]

export interface Problem {
  path: Path
  /** a sentence */
  what: string
}

export interface CheckOptions {
  /** upstreams that are declared elsewhere */
  upstreams?: string[]
  /** whether a value must not be shown */
  isSecret?: (value: unknown) => boolean
}

const validate = new Ajv({ allErrors: true, verbose: true, strict: false }).compile<Declaration>(
  DeclarationSchema,
)

/** @returns every problem; empty: the value is a Declaration */
export function problemsOf(value: unknown, options: CheckOptions = {}): Problem[] {
  const checker = new Checker(options)
  checker.check(value)
  return checker.problems
}

class Checker {
  readonly problems: Problem[] = []
  readonly #upstreams: string[]
  readonly #isSecret: (value: unknown) => boolean

  constructor({ upstreams = [], isSecret = () => false }: CheckOptions) {
    this.#upstreams = upstreams
    this.#isSecret = isSecret
  }

  check(value: unknown) {
    if (validate(value)) return this.#checkMeaning(value)
    for (const error of validate.errors ?? []) this.#violation(error)
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
  #checkMeaning(declaration: Declaration) {
    const { upstreams = {}, models = {}, default_upstream: standard, redact = {} } = declaration
    for (const [index, { url, secret }] of (declaration.webhooks ?? []).entries()) {
      const { protocol = '', username, password } = URL.parse(url) ?? {}
      const path = ['webhooks', index, 'url']
      if (!/^https?:$/.test(protocol)) {
        this.#problem(path, 'must be an address that begins with https:// or http://.')
      } else if (username || password) {
        this.#problem(path, 'may have no name and no password; calls are signed with the secret.')
      }
      if (!isWebhookSecret(secret)) {
        this.#problem(['webhooks', index, 'secret'], WEBHOOK_SECRET_RULE)
      }
    }
    for (const [kind, pattern] of Object.entries(redact)) this.#checkPattern(kind, pattern)
    const known = [...new Set([...Object.keys(upstreams), ...this.#upstreams])]
    for (const [name, upstream] of Object.entries(upstreams)) {
      this.#checkUpstream(['upstreams', name], upstream)
      if (name === 'local' || !NAME.test(name)) {
        const allowed = "letters, digits and . _ - (and not 'local', which is the library)"
        this.#problem(['upstreams', name], `an upstream's name is made of ${allowed}.`)
      }
    }
    if (standard !== undefined && !known.includes(standard)) {
      this.#unknownUpstream(['default_upstream'], standard, known)
    }
    for (const [name, model] of Object.entries(models)) {
      if (name.includes('@')) {
        this.#problem(['models', name], `a model's name can't have an '@', which names a version.`)
      }
      const seen = new Set<string>()
      for (const list of ['targets', 'fallbacks'] as const) {
        for (const [index, target] of (model[list] ?? []).entries()) {
          const path = ['models', name, list, index]
          this.#checkTarget(path, target, known)
          const id = target.version ?? `${target.model}@${target.upstream}`
          if (seen.has(id)) {
            const shown = this.#mayShow(target) ? id : 'this'
            this.#problem(path, `${shown} is a target of this model already.`)
          }
          seen.add(id)
        }
      }
      if (model.targets.every(({ weight }) => weight === 0)) {
        this.#problem(['models', name, 'targets'], 'no target has any weight.')
      }
    }
  }

  #checkPattern(kind: string, pattern: string) {
    const path = ['redact', kind]
    if (!new RegExp(KIND_PATTERN).test(kind)) {
      this.#problem(path, 'a kind of redacted text is made of A-Z, 0-9 and _, at most 32.')
    }
    try {
      compilePattern(pattern)
    } catch (error) {
      // Its message quotes the pattern, which may be from the environment.
      const reason = error instanceof Error ? error.message : String(error)
      this.#problem(
        path,
        this.#isSecret(pattern) ? 'is no regular expression as RE2 has them.' : reason,
      )
    }
  }

  #checkUpstream(path: Path, { api, base_url: baseUrl, key, headers }: DeclaredUpstream) {
    if (key !== undefined && !VISIBLE.test(key)) {
      this.#problem([...path, 'key'], 'has characters that no header can carry: a line break?')
    }
    if (baseUrl === undefined && (api === 'azure' || api === 'compatible')) {
      this.#problem(path, `'base_url' is missing: it is needed where 'api' is ${api}.`)
    }
    if (baseUrl !== undefined) {
      const url = URL.parse(baseUrl)
      const isUsable = url && /^https?:$/.test(url.protocol) && !url.username && !url.password
      if (!isUsable || url.search || url.hash) {
        const allowed =
          'must be an address that begins with https:// or http://, without a password'
        // Not quoted: it may have a password in it.
        this.#problem([...path, 'base_url'], `${allowed}, a query or a fragment.`)
      }
    }
    for (const [header, value] of Object.entries(headers ?? {})) {
      if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(header) || /[\r\n\0]/.test(value)) {
        this.#problem([...path, 'headers', header], 'is no header that can be sent.')
      }
    }
  }

  #checkTarget(path: Path, { version, upstream, model }: DeclaredTarget, known: string[]) {
    if ((version === undefined) === (upstream === undefined)) {
      this.#problem(path, "a target has either 'version' (of the library) or 'upstream'.")
    } else if (upstream !== undefined) {
      if (!known.includes(upstream)) this.#unknownUpstream([...path, 'upstream'], upstream, known)
      if (model === undefined) this.#problem(path, "'model' is missing: its name at the upstream.")
    } else if (model !== undefined) {
      this.#problem([...path, 'model'], "'model' belongs to an upstream; 'version' says all.")
    }
  }

  #unknownUpstream(path: Path, given: string, known: string[]) {
    const nearest = nearestName(given, known)
    const hint = nearest
      ? `did you mean '${nearest}'?`
      : `declared are ${known.length > 0 ? known.join(', ') : 'none'}.`
    const shown = this.#isSecret(given) ? 'of the name that is given (not shown)' : `'${given}'`
    this.#problem(path, `there is no upstream ${shown}; ${hint}`)
  }

  #mayShow({ version, upstream, model }: DeclaredTarget): boolean {
    return ![version, upstream, model].some((part) => this.#isSecret(part))
  }

  #problem(path: Path, what: string) {
    this.problems.push({ path, what })
  }

  #quote(path: Path, value: unknown): string {
    const isSecret = this.#isSecret(value) || path.some((part) => NEVER_SHOWN.has(part))
    if (isSecret) return 'a value that is not shown'
    if (typeof value === 'object' && value !== null)
      return Array.isArray(value) ? 'a list' : 'a map'
    return JSON.stringify(value)
  }
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/
const VISIBLE = /^[\x20-\x7e]*$/

/** fields whose values may be secret; addresses, because people put passwords into them */
const NEVER_SHOWN = new Set<string | number>(['key', 'headers', 'base_url', 'secret', 'url'])

function pathOf(pointer: string): Path {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part))
}

/** `models.chat.targets[0]` */
export function written(path: Path): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`
    return text === '' ? part : `${text}.${part}`
  }, '')
}
