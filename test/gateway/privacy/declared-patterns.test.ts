// The operator's own patterns, as headrace.yaml has them.

import assert from 'node:assert/strict'
import test from 'node:test'

import { DeclarationError, readDeclaration } from '../../../gateway/declared/read.ts'

test('patterns of headrace.yaml are read, and wrong ones named with their lines', () => {
  const right = "redact:\n  EMPLOYEE: '\\bEMP-\\d{6}\\b'\n"
  const { redact } = readDeclaration(right, 'headrace.yaml', {})
  assert.deepEqual(redact, { EMPLOYEE: String.raw`\bEMP-\d{6}\b` })

  const wrong = "redact:\n  employee: 'x'\n  A: '(?=x)'\n  B: 'y*'\n"
  assert.throws(
    () => readDeclaration(wrong, 'headrace.yaml', {}),
    (error) => {
      assert.ok(error instanceof DeclarationError)
      assert.match(error.problems[0]!, /^line 2: .*made of A-Z/)
      assert.match(error.problems[1]!, /^line 3: .*no regular expression as RE2 has them/)
      assert.match(error.problems[2]!, /^line 4: .*empty text/)
      return true
    },
  )
})
