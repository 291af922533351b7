// The README's table of settings is the schema's.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'

import { SETTINGS } from '../../gateway/settings/settings.ts'

test("the README's table says of every setting what the schema says, in its order", async () => {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8')
  const rows = [...readme.matchAll(/^\| `([A-Z_]+)` +\| (.*?) +\| (.*?) +\|$/gm)]
  const written = rows.map(([, name, standard, about]) => ({
    name,
    default: standard?.trim().replaceAll('`', '') || null,
    about,
  }))
  const declared = Object.values(SETTINGS).map(({ name, default: standard, about }) => ({
    name,
    default: standard,
    about,
  }))
  assert.deepEqual(written, declared)
})
