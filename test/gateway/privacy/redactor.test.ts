// What is taken out of texts, and what is left alone.

import assert from 'node:assert/strict'
import test from 'node:test'

import fc from 'fast-check'

import { OwnPatterns } from '../../../gateway/privacy/own-patterns.ts'
import { Redactor } from '../../../gateway/privacy/redactor.ts'

const redactor = new Redactor()
const redact = (text: string) => redactor.begin().text(text)

const FOUND: [kind: string, texts: string[]][] = [
  ['EMAIL', ['jane.doe+x@mail.example.co.uk', 'jürgen@müller.de', 'jane%40example.com']],
  [
    'CARD',
    [
      '4111111111111111',
      '4111 1111 1111 1111',
      '5500-0000-0000-0004',
      '3782 822463 10005',
      '6011000990139424',
      '2223003122003222',
    ],
  ],
  ['IBAN', ['DE89370400440532013000', 'GB29 NWBK 6016 1331 9268 19', 'NO93 8601 1117 947']],
  [
    'NATIONAL_ID',
    [
      '536-90-4399',
      '12345678Z',
      'X1234567L',
      'RSSMRA85T10A562S',
      '529.982.247-25',
      'AB123456C',
      '2 95 10 99 126 111 93',
      '2341 2341 2346',
      '756.9217.0769.85',
      '86 095 742 719',
      '11010519491231002X',
    ],
  ],
  [
    'PHONE',
    [
      '+49 30 12345678',
      '+14155552671',
      '(212) 555-0123',
      '212-555-0123',
      '0171 1234567',
      '06 12 34 56 78',
    ],
  ],
  ['IP', ['192.168.1.7', '8.8.8.8', '2001:db8::8a2e:370:7334']],
  [
    'SECRET',
    [
      'sk-proj-abcdefghijklmnopqrstuvwx',
      `ghp_${'a1'.repeat(18)}`,
      'AKIAIOSFODNN7EXAMPLE',
      `hr_${'Ab3_'.repeat(11)}`,
      'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-def_1',
      '-----BEGIN PRIVATE KEY-----\nMIIabc+/=\n-----END PRIVATE KEY-----',
    ],
  ],
]

for (const [kind, texts] of FOUND) {
  test(`${kind}: found wherever it stands in a text`, () => {
    const contexts: [string, string][] = [
      ['', ''],
      ['It is ', ', he said.'],
      ['(', ')'],
      ['"', '"'],
      ['first line\n', '\nlast line'],
      ['a quoted line\\n', ' and more'],
      ['{"value":"', '"} cut'],
    ]
    for (const text of texts) {
      for (const [before, after] of contexts) {
        assert.equal(redact(before + text + after), `${before}[${kind}_1]${after}`)
      }
    }
  })
}

test('what has a form alone counts behind a word that says what it is', () => {
  const spoken = {
    'NI AB 12 34 56 C, please': 'NI [NATIONAL_ID_1], please',
    卡号4111111111111111是的: '卡号[CARD_1]是的',
    'my SSN is 536904399': 'my SSN is [NATIONAL_ID_1]',
    'Aadhaar: 234123412346': 'Aadhaar: [NATIONAL_ID_1]',
    'tel: 5551234567': 'tel: [PHONE_1]',
    'password: hunter2x!': 'password: [SECRET_1]',
    'AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfi': 'AWS_SECRET_ACCESS_KEY=[SECRET_1]',
    'Authorization: Bearer abc123def456ghi789': 'Authorization: Bearer [SECRET_1]',
    'postgres://bob:hunter2@db.example.com/x': 'postgres://bob:[SECRET_1]@db.example.com/x',
  }
  for (const [text, expected] of Object.entries(spoken)) assert.equal(redact(text), expected)
  assert.equal(
    redact('the sum of 536904399 and 234123412346'),
    'the sum of 536904399 and 234123412346',
  )
})

const LEFT_ALONE = [
  'version 1.2.3.4 and v10.0.0.1 on 127.0.0.1 at 12:30:45, release 4.0.30319.1',
  '550e8400-e29b-41d4-a716-446655440000 and 12345678-1234-1234-1234-123456789012',
  '1700000000000 1700000000 1699999999999999 1732147200',
  'order 123456789 of 2024-01-15T10:00:00.000Z, 15.01.2024, 01/15/2024 10:00:00',
  '3.14159265358979 and 1,234,567,890 or 1.234.567,89 and 12345678901234567890',
  'const x = 0xDEADBEEF12345678; a[1234567] = 7654321 // see #1234567',
  'password: string; getPassword(); token = await fetchToken(); key: value',
  'std::vector<int> a::b1 10:20:30 Foo::Bar::Baz',
  'commit 9c3f2a7be1d04f5a8c6b7d8e9f0a1b2c3d4e5f60',
  '@media (max-width: 600px) {} npm i foo@1.2.3 @types/node@24.19.2 @decorator()',
  'phone support for 100 users in 2024, basic understanding of password hashing',
  'Line 12 of 3456, 10 000 000 people; 1234 5678 9012 3456; 4111 1111 1111 1112',
  'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=',
  '[0.123456789, -0.987654321, 12345.678901]',
  'task-12345678-abc sk-learn some_snake_case_name ISBN 978-3-16-148410-0',
  'DE89370400440532013001 has a wrong check digit',
]

test('ordinary numbers, dates, versions, UUIDs and code are left alone', () => {
  for (const text of LEFT_ALONE) assert.equal(redact(text), text)
})

test('the same thing has the same number in all texts of an exchange, however it is written', () => {
  const redaction = redactor.begin()
  assert.deepEqual(
    redaction.value([
      'a@x.org, b@x.org and 4111 1111 1111 1111',
      { say: 'B@X.org again, card 4111111111111111', 'a@x.org': 1 },
    ]),
    [
      '[EMAIL_1], [EMAIL_2] and [CARD_1]',
      { say: '[EMAIL_2] again, card [CARD_1]', '[EMAIL_1]': 1 },
    ],
  )
})

test('JSON in a text stays JSON, and its escapes hide nothing', () => {
  const given = String.raw`{"mail":"jane\u0040example.com","n":4111111111111111,"t":"a\n+49 30 12345678","password":"x"}`
  assert.deepEqual(JSON.parse(redact(given)), {
    mail: '[EMAIL_1]',
    n: '[CARD_1]',
    t: 'a\n[PHONE_1]',
    password: '[SECRET_1]',
  })
  const spaced = '{ "a" : 1.0, "b": "\\n" }'
  assert.equal(redact(spaced), spaced)
  assert.equal(redact('{"mail":"jane@example.com", "cut'), '{"mail":"[EMAIL_1]", "cut')
})

test('files are told by their kind and are gone', () => {
  const content = Buffer.alloc(600, 'picture').toString('base64')
  assert.equal(redact(`data:image/png;base64,${content}`), '[IMAGE_1]')
  assert.equal(redact(`See data:audio/wav;base64,${content} here`), 'See [AUDIO_1] here')
  assert.deepEqual(redactor.begin().value({ media_type: 'application/pdf', data: content }), {
    media_type: 'application/pdf',
    data: '[FILE]',
  })
})

test("the operator's own patterns come first, and are RE2's", () => {
  const own = new Redactor()
  own.useOwn(new OwnPatterns({ EMPLOYEE: String.raw`\bEMP-\d{6}\b`, STAFF: '[a-z]+@staff.org' }))
  assert.equal(own.begin().text('EMP-123456: kim@staff.org'), '[EMPLOYEE_1]: [STAFF_1]')
  assert.throws(() => new OwnPatterns({ A: '(?<=x)y' }), /no regular expression as RE2 has them/)
  assert.throws(() => new OwnPatterns({ A: 'x*' }), /finds an empty text/)
  own.useOwn(new OwnPatterns({ A: '(a+)+$' }))
  const startedMs = performance.now()
  own.find(`${'a'.repeat(100_000)}b`)
  assert.ok(performance.now() - startedMs < 2_000)
})

test('no text takes long: whatever repeats in it is read a bounded number of times', () => {
  const pieces = [
    'a@',
    '1 ',
    '1-',
    'eyJaaaaaaaaaaa.',
    'sk-',
    'password: ',
    '+4',
    '1:',
    'a://b:',
    '{"a":"\\n',
    'A1B2 ',
  ]
  pieces.push(
    '-----BEGIN PRIVATE KEY-----',
    'data:a/a;base64,',
    '0532 0130 01 ',
    '+49 30 1234567 ',
    '1.1.1.',
    '::',
  )
  for (const piece of pieces) {
    const text = piece.repeat(Math.ceil(200_000 / piece.length))
    const startedMs = performance.now()
    redactor.find(text)
    const ms = performance.now() - startedMs
    // A quadratic reading of it takes minutes.
    assert.ok(ms < 3_000, `${JSON.stringify(piece)} took ${ms} ms`)
  }
})

test('whatever is around them, a planted address and card never come through', () => {
  const planted = fc.constantFrom('jane.doe@example.com', '4111 1111 1111 1111')
  const around = fc.string({ unit: fc.constantFrom(...' .,;:!?()"\'<>\n\tαβ中😀'), maxLength: 20 })
  fc.assert(
    fc.property(around, planted, around, (before, text, after) => {
      assert.ok(!redact(before + text + after).includes(text))
    }),
    { numRuns: 500 },
  )
})
