// The licence that a checkpoint's files name.
//
// A model card's front matter is the author's own word; a licence file is recognised by its title.
// What is neither stays null: a guess would be worse.

import { readTextIfThere } from './json-file.ts'

/**
 * SPDX ids of the lower-case names that model cards use; other names are kept as they are
 * (llama3.2, gemma …).
 */
const SPDX_IDS = [
  'Apache-2.0',
  'MIT',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'CC-BY-4.0',
  'CC-BY-SA-4.0',
  'CC-BY-NC-4.0',
  'CC-BY-NC-SA-4.0',
  'GPL-3.0',
  'AGPL-3.0',
  'LGPL-3.0',
  'MPL-2.0',
]

const LICENCE_FILES = ['LICENSE', 'LICENSE.txt', 'LICENSE.md', 'LICENCE']

// A title is in the first lines; the rest of a licence may quote others.
const TITLE_CHARACTERS = 600

const TITLES: [title: RegExp, licence: (match: RegExpExecArray) => string][] = [
  [/Apache License\s+Version 2\.0/i, () => 'Apache-2.0'],
  [/\bMIT License\b/i, () => 'MIT'],
  [/\bBSD ([23])-Clause\b/i, ([, clauses]) => `BSD-${clauses}-Clause`],
  [/LLAMA (\d(?:\.\d)?) COMMUNITY LICENSE/i, ([, version]) => `llama${version}`],
]

export async function readLicence(folder: string): Promise<string | null> {
  const card = await readTextIfThere(folder, 'README.md')
  const named = card === null ? null : licenceOfCard(card)
  if (named !== null) return licenceId(named)
  for (const name of LICENCE_FILES) {
    const text = await readTextIfThere(folder, name)
    for (const [title, licence] of text === null ? [] : TITLES) {
      const match = title.exec(text!.slice(0, TITLE_CHARACTERS))
      if (match !== null) return licence(match)
    }
  }
  return null
}

/** The name that a source gives its licence, as an SPDX id where it is one. */
export function licenceId(name: string): string {
  return SPDX_IDS.find((id) => id.toLowerCase() === name.toLowerCase()) ?? name
}

/**
 * `license:` of a model card's YAML front matter; where that is `other`, `license_name:` says
 * which.
 */
function licenceOfCard(card: string): string | null {
  const frontMatter = /^---\r?\n([\s\S]*?)\r?\n---/.exec(card)?.[1]
  if (frontMatter === undefined) return null
  const licence = yamlField(frontMatter, 'license')
  return licence === 'other' ? (yamlField(frontMatter, 'license_name') ?? licence) : licence
}

/** A plain or quoted scalar, or the first item of a list, at the top level of the front matter. */
function yamlField(frontMatter: string, name: string): string | null {
  const pattern = new RegExp(`^${name}:[ \\t]*(?:\\r?\\n[ \\t]*-[ \\t]*)?["']?([\\w.+-]+)`, 'm')
  return pattern.exec(frontMatter)?.[1] ?? null
}
