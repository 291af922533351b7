// What the bundled model is trained on and measured by (models/headrace-guide): the figures in its README mean something
// only while the held-out phrasings stay held out.

import assert from 'node:assert/strict'
import { readdir, readFile, stat } from 'node:fs/promises'
import { test } from 'node:test'

interface Entry {
  id: string
  answer: string
  questions: string[]
}

const GUIDE = new URL('../../models/headrace-guide/', import.meta.url)

async function readLines<T>(path: string): Promise<T[]> {
  const text = await readFile(new URL(path, GUIDE), 'utf8')
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}

async function readEntries() {
  const topics = await readdir(new URL('questions/', GUIDE))
  const entries = await Promise.all(topics.map((topic) => readLines<Entry>(`questions/${topic}`)))
  return entries.flat()
}

/** The question as a person would call it the same: without case and punctuation, but `...` stays something. */
function wordsOf(question: string) {
  const words = question.toLowerCase().match(/[\p{L}\p{N}_/@:*+-]+/gu)
  return words ? words.join(' ') : question
}

test('a question of the bundled model has one answer', async () => {
  const answers = new Map<string, string>()
  for (const { id, questions } of await readEntries()) {
    for (const question of questions) {
      const words = wordsOf(question)
      assert.equal(answers.get(words) ?? id, id, `"${question}" is asked for two answers`)
      answers.set(words, id)
    }
  }
  assert.ok(answers.size > 1000, `only ${answers.size} questions were read`)
})

test('no held-out phrasing is trained, and each belongs to an answer', async () => {
  const entries = await readEntries()
  const trained = new Set(entries.flatMap(({ questions }) => questions.map(wordsOf)))
  const ids = new Set(entries.map(({ id }) => id))
  const heldOut = await readLines<{ id: string; question: string }>('questions-heldout.jsonl')
  assert.ok(heldOut.length > 100, `only ${heldOut.length} held-out phrasings were read`)
  for (const { id, question } of heldOut) {
    assert.ok(ids.has(id), `no answer has the id ${id}`)
    assert.ok(!trained.has(wordsOf(question)), `"${question}" is trained`)
  }
})

test('the bundled checkpoint stays within the 6 MB that it may add to a clone', async () => {
  const folder = new URL('checkpoint/', GUIDE)
  const files = await readdir(folder)
  const sizes = await Promise.all(
    files.map(async (file) => (await stat(new URL(file, folder))).size),
  )
  const bytes = sizes.reduce((sum, size) => sum + size, 0)
  assert.ok(bytes < 6_000_000, `${files.join(', ')} have ${bytes} bytes`)
})
