// The page of settings says what the schema says.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'

import { SETTINGS } from '../../gateway/settings/settings.ts'

test('docs/settings.md says of every setting what the schema says, in its order', async () => {
  const page = await readFile(new URL('../../docs/settings.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| `([A-Z_]+)` +\| (.*?) +\| (.*?) +\|$/gm)]
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
