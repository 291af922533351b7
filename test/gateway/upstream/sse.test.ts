// Event streams as upstreams really send them.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { EventReader, EventTooLong } from '../../../gateway/backends/upstream/sse.ts'

function read(chunks: (string | Buffer)[]): { event?: string | undefined; data: string }[] {
  const reader = new EventReader()
  const events = chunks.flatMap((chunk) => reader.read(Buffer.from(chunk)))
  return [...events, ...reader.end()].map(({ event, data }) => (event ? { event, data } : { data }))
}

/** However the bytes are cut, the same events come out. */
function readsEverywhere(text: string, expected: ReturnType<typeof read>) {
  const bytes = Buffer.from(text)
  assert.deepEqual(read([bytes]), expected)
  for (let at = 1; at < bytes.length; at++) {
    assert.deepEqual(read([bytes.subarray(0, at), bytes.subarray(at)]), expected, `cut at ${at}`)
  }
  assert.deepEqual(read([...bytes].map((byte) => Buffer.of(byte))), expected, 'byte by byte')
}

test('events are the same wherever their bytes are cut', () => {
  readsEverywhere('data: {"a":"é🙂"}\n\nevent: x\ndata: b\n\n: comment\n\ndata: [DONE]\n\n', [
    { data: '{"a":"é🙂"}' },
    { event: 'x', data: 'b' },
    { data: '[DONE]' },
  ])
})

test('line ends may be CRLF or CR', () => {
  readsEverywhere('data: a\r\n\r\ndata: b\r\n\r\n', [{ data: 'a' }, { data: 'b' }])
  readsEverywhere('data: a\r\rdata: b\r\r', [{ data: 'a' }, { data: 'b' }])
})

test('several data lines are one event, and the space after the colon is optional', () => {
  readsEverywhere('data:{"a":\ndata: 1}\n\n', [{ data: '{"a":\n1}' }])
})

test('a byte order mark, comments, ids and retries say nothing', () => {
  readsEverywhere('\uFEFF: hello\nretry: 100\nid: 7\ndata: a\n\n:\n\n', [{ data: 'a' }])
})

test('the last event may lack its empty line, and its line end', () => {
  readsEverywhere('data: a\n\ndata: [DONE]\n', [{ data: 'a' }, { data: '[DONE]' }])
  readsEverywhere('data: a\n\ndata: [DONE]', [{ data: 'a' }, { data: '[DONE]' }])
})

test('an event without an end is refused before it fills the memory', () => {
  const reader = new EventReader(1000)
  reader.read(Buffer.from(`data: ${'x'.repeat(500)}`))
  assert.throws(() => reader.read(Buffer.from('x'.repeat(600))), EventTooLong)
})
