import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'

import { DeclarationError, readDeclaration } from '../../../gateway/declared/read.ts'

const SECRET = 'sk-planted-secret'

function problemsOf(text: string, env: Record<string, string> = {}): string[] {
  try {
    readDeclaration(text, 'headrace.yaml', env)
  } catch (error) {
    assert.ok(error instanceof DeclarationError)
    return error.problems
  }
  return []
}

test('upstreams and models are read, with what the environment fills in', () => {
  const text = `
upstreams:
  openai: { api: openai, key: "\${KEY}" }
  near: { api: compatible, base_url: "http://\${HOST:-localhost}:8000/v1" }
models:
  chat:
    targets:
      - { upstream: openai, model: gpt-4o-mini, weight: 9, price: { input: 0.15, output: 0.6 } }
      - { version: smollm2-135m-instruct, weight: 1 }
    fallbacks: [{ upstream: near, model: llama }]
    balance: least_busy
`
  const declared = readDeclaration(text, 'headrace.yaml', { KEY: SECRET })
  assert.equal(declared.upstreams?.['openai']?.key, SECRET)
  assert.equal(declared.upstreams?.['near']?.base_url, 'http://localhost:8000/v1')
  assert.equal(declared.models?.['chat']?.targets.length, 2)
})

test('an empty file declares nothing', () => {
  assert.deepEqual(readDeclaration('', 'headrace.yaml', {}), {})
  assert.deepEqual(readDeclaration('# later\n', 'headrace.yaml', {}), {})
})

test('everything that is wrong is said at once, each with its line', () => {
  const text = `upstreams:
  openai: { api: opnai }
  near: { api: compatible }
  odd: { api: openai, base_url: "ftp://x", keey: a }
models:
  chat:
    targets:
      - { upstream: opena, model: gpt }
      - { weight: -1 }
    balance: random
`
  const problems = problemsOf(text)
  assert.deepEqual(problems, [
    'line 2: upstreams.openai.api: must be one of openai, azure, anthropic, gemini, compatible; got "opnai".',
    "line 4: upstreams.odd.keey: 'keey' is not known here; did you mean 'key'?",
    'line 9: models.chat.targets[1].weight: must be >= 0; got -1.',
    'line 10: models.chat.balance: must be one of weighted, least_busy, fastest; got "random".',
  ])
})

test('what a schema cannot say is checked too', () => {
  const text = `upstreams:
  near: { api: compatible }
  odd: { api: openai, base_url: "https://user:pw@host/v1" }
models:
  chat:
    targets:
      - { upstream: near }
      - { version: a, upstream: near }
      - { upstream: neer, model: x }
  a@b: { targets: [{ version: a, weight: 0 }] }
default_upstream: other
`
  assert.deepEqual(problemsOf(text), [
    "line 2: upstreams.near: 'base_url' is missing: it is needed where 'api' is compatible.",
    'line 3: upstreams.odd.base_url: must be an address that begins with https:// or http://, without a password, a query or a fragment.',
    "line 11: default_upstream: there is no upstream 'other'; declared are near, odd.",
    "line 7: models.chat.targets[0]: 'model' is missing: its name at the upstream.",
    "line 8: models.chat.targets[1]: a target has either 'version' (of the library) or 'upstream'.",
    "line 9: models.chat.targets[2].upstream: there is no upstream 'neer'; did you mean 'near'?",
    "line 10: models.a@b: a model's name can't have an '@', which names a version.",
    'line 10: models.a@b.targets: no target has any weight.',
  ])
})

test('a variable that is not set is named, and what comes from one is never shown', () => {
  assert.deepEqual(problemsOf('upstreams:\n  a: { api: openai, key: "${NOPE}" }\n'), [
    'line 2: the variable NOPE is not set.',
  ])
  const told = problemsOf('upstreams:\n  a: { api: "${KEY}", base_url: "x${KEY}" }\n', {
    KEY: SECRET,
  })
  assert.equal(told.length, 1)
  assert.ok(!told.join('\n').includes(SECRET))
})

test('a number may come from the environment where one is meant, and a text of digits stays one', () => {
  const text = `upstreams:
  a:
    api: openai
    key: \${DIGITS}
    connect_ms: \${CONNECT}
    stream_usage: \${USAGE:-false}
models:
  m:
    targets:
      - upstream: a
        model: "\${DIGITS}"
        weight: \${WEIGHT:-0.5}
        price: { input: "\${PRICE}", output: 1 }
`
  const env = { DIGITS: '0123', CONNECT: ' 250', PRICE: '1e-3' }
  const { upstreams, models } = readDeclaration(text, 'headrace.yaml', env)
  const { key, connect_ms: connectMs, stream_usage: usage } = upstreams!['a']!
  assert.deepEqual([key, connectMs, usage], ['0123', 250, false])
  const [target] = models!['m']!.targets
  assert.deepEqual(
    [target!.model, target!.weight, target!.price],
    ['0123', 0.5, { input: 0.001, output: 1 }],
  )
})

test('what is no number, or one that is not allowed, is a problem with its line and without its value', () => {
  const text = (weight: string) =>
    `upstreams: { a: { api: openai } }\nmodels:\n  m: { targets: [{ upstream: a, model: x,\n    weight: ${weight} }] }\n`
  for (const [value, words] of [
    ['many-7391', 'must be number'],
    ['-7391', 'must be >= 0'],
    ['0x7391', 'must be number'],
    ['Infinity', 'must be number'],
  ] as const) {
    const problems = problemsOf(text('"${N}"'), { N: value })
    assert.equal(problems.length, 1)
    assert.match(problems[0]!, /^line 4: models\.m\.targets\[0\]\.weight: /)
    assert.ok(problems[0]!.includes(words), problems[0])
    assert.ok(!problems[0]!.includes('7391'))
  }
  assert.deepEqual(problemsOf(text('"7"')), [
    'line 4: models.m.targets[0].weight: must be number; got "7".',
  ])
})

test('a file that is no YAML is said to be none, with the line', () => {
  assert.match(problemsOf('upstreams:\n  a: [\n')[0] ?? '', /^line \d: /)
  assert.match(problemsOf('- a\n')[0] ?? '', /must be object/)
})

test('the example that ships can be used as it is', async () => {
  const text = await readFile(new URL('../../../headrace.example.yaml', import.meta.url), 'utf8')
  const { models } = readDeclaration(text, 'headrace.example.yaml', {})
  assert.deepEqual(Object.keys(models ?? {}), ['support-chat', 'writer'])
})

test('a name that the library has, a key that no header can carry and a password are refused, unquoted', () => {
  const text = `upstreams:
  local: { api: openai }
  far: { api: openai, key: "${SECRET}\\n", headers: [${SECRET}] }
`
  const told = problemsOf(text)
  assert.match(told.join('\n'), /upstreams.far.headers/)
  const others = problemsOf(text.replace(/, headers.*]/, ''))
  assert.match(
    others.join('\n'),
    /line 2: upstreams.local: .*\nline 3: upstreams.far.key: has char/,
  )
  assert.doesNotMatch([...told, ...others].join('\n'), /planted/)
})

test('what the environment gave is quoted in no problem, also where it is a name', () => {
  const text = `
upstreams: { openai: { api: openai, key: k } }
default_upstream: "\${KEY}"
models:
  chat:
    targets:
      - { upstream: "\${KEY}", model: a }
      - { version: "\${KEY}" }
      - { version: "\${KEY}" }
`
  const problems = problemsOf(text, { KEY: SECRET })
  assert.equal(problems.length, 3)
  assert.doesNotMatch(problems.join('\n'), new RegExp(SECRET))
})

test('aliases that would fill the memory are a problem of the file, told at once', () => {
  const lists = ['a: &a [x, x, x, x, x, x, x, x, x]']
  for (const [from, to] of ['ab', 'bc', 'cd', 'de', 'ef', 'fg'].map((pair) => [...pair])) {
    lists.push(`${to}: &${to} [${Array.from({ length: 9 }, () => `*${from}`).join(', ')}]`)
  }
  assert.match(problemsOf(lists.join('\n')).join('\n'), /alias/)
})
