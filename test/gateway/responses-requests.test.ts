// What a request for a response becomes before anybody answers it, and what of it is refused, by name.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { MODEL, startGateway } from '../support/gateway.ts'
import { ScriptedBackend } from '../support/scripted-backend.ts'
import type { Message } from '../../gateway/backends/conversation.ts'

const ASKED = { model: MODEL, input: 'Hi', store: false }
const TOOLS = ['sun', 'rain'].map((name) => ({ type: 'function', name, parameters: {} }))
const CALL = { type: 'function_call', call_id: 'call_a', name: 'sun', arguments: '{}' }
const OUTPUT = { type: 'function_call_output', call_id: 'call_a', output: 'much' }

interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string | null }
}

const items = (...input: unknown[]) => ({ ...ASKED, input })
const user = (...content: unknown[]) => items({ role: 'user', content })
const text = (said: string) => [{ type: 'text' as const, text: said }]

/** body, code, parameter, what the message has to say */
const REFUSED: [unknown, string, string | null, RegExp][] = [
  ['[]', 'invalid_type', null, /must be a JSON object/],
  [{ input: 'Hi' }, 'missing_required_parameter', 'model', /model/],
  [{ model: MODEL }, 'missing_required_parameter', 'input', /a string or an array of items/],
  [{ ...ASKED, input: 7 }, 'invalid_type', 'input', /a string or an array of items; got 7/],
  [items(), 'invalid_type', 'input', /an array of items; got an array of 0/],
  [items('Hi'), 'invalid_type', 'input[0]', /an object; got "Hi"/],
  [items({}), 'missing_required_parameter', 'input[0].type', /kind of item/],
  [items({ role: 'king', content: 'x' }), 'invalid_value', 'input[0].role', /"user".*got "king"/],
  [items({ role: 'user' }), 'missing_required_parameter', 'input[0].content', /content/],
  [items({ role: 'user', content: 5 }), 'invalid_type', 'input[0].content', /got 5/],
  [user({ text: 'x' }), 'missing_required_parameter', 'input[0].content[0].type', /kind of part/],
  [
    user({ type: 'input_audio', data: '' }),
    'unsupported_parameter',
    'input[0].content[0].type',
    /"input_audio".*"input_text", "input_image" and "input_file"/,
  ],
  [
    user({ type: 'input_image' }),
    'missing_required_parameter',
    'input[0].content[0].image_url',
    /file_id/,
  ],
  [
    items({ type: 'web_search_call', id: 'ws_1', status: 'completed' }),
    'unsupported_parameter',
    'input[0].type',
    /"web_search_call"/,
  ],
  [items({ ...CALL, arguments: {} }, OUTPUT), 'invalid_type', 'input[0].arguments', /an object/],
  [items(OUTPUT), 'invalid_value', 'input[0].call_id', /no function call with the call_id/],
  [items(CALL, { role: 'user', content: 'x' }), 'invalid_value', 'input', /no output/],
  [items({ type: 'item_reference', id: 'rs_1' }), 'item_not_found', 'input[0]', /'rs_1' not found/],
  [{ ...ASKED, temperature: 3 }, 'invalid_value', 'temperature', /from 0 to 2; got 3/],
  [{ ...ASKED, max_output_tokens: 0 }, 'invalid_value', 'max_output_tokens', /from 1/],
  [{ ...ASKED, stream: 'yes' }, 'invalid_type', 'stream', /a boolean/],
  [{ ...ASKED, background: true }, 'unsupported_parameter', 'background', /only false/],
  [{ ...ASKED, truncation: 'auto' }, 'unsupported_parameter', 'truncation', /"disabled"/],
  [
    { ...ASKED, conversation: 'c' },
    'unsupported_parameter',
    'conversation',
    /previous_response_id/,
  ],
  [{ ...ASKED, prompt: { id: 'p' } }, 'unsupported_parameter', 'prompt', /instructions/],
  [{ ...ASKED, service_tier: 'flex' }, 'unsupported_parameter', 'service_tier', /"flex"/],
  [
    { ...ASKED, tools: [{ type: 'web_search' }] },
    'unsupported_parameter',
    'tools[0].type',
    /"web_search".*"function" only/,
  ],
  [
    { ...ASKED, tools: [{ type: 'function', name: 'a b' }] },
    'invalid_type',
    'tools[0].name',
    /got "a b"/,
  ],
  [
    { ...ASKED, tools: TOOLS, tool_choice: { type: 'function', name: 'snow' } },
    'invalid_value',
    'tool_choice.name',
    /one of the tools; got "snow"/,
  ],
  [
    { ...ASKED, tools: TOOLS, tool_choice: { type: 'mcp' } },
    'unsupported_parameter',
    'tool_choice.type',
    /"mcp"/,
  ],
  [{ ...ASKED, text: { format: { type: 'xml' } } }, 'invalid_value', 'text.format.type', /"xml"/],
  [{ ...ASKED, text: { verbosity: 'loud' } }, 'invalid_value', 'text.verbosity', /"loud"/],
  [{ ...ASKED, reasoning: { effort: 'all' } }, 'invalid_value', 'reasoning.effort', /"minimal"/],
  [{ ...ASKED, include: ['gossip'] }, 'invalid_value', 'include[0]', /"gossip"/],
  [{ ...ASKED, metadata: { a: 1 } }, 'invalid_type', 'metadata.a', /a string; got 1/],
  [
    { ...ASKED, metadata: { a: 'x'.repeat(513) } },
    'invalid_value',
    'metadata.a',
    /up to 512 characters/,
  ],
  [
    { ...ASKED, previous_response_id: 'resp_x' },
    'previous_response_not_found',
    'previous_response_id',
    /'resp_x' not found/,
  ],
]

test('what is wrong with a request is told by name, with what was given and what is allowed', async (t) => {
  const { post } = await startGateway(t)
  for (const [body, code, param, message] of REFUSED) {
    const what = JSON.stringify(body)
    const response = await post('/v1/responses', body)
    const { error } = (await response.json()) as ErrorBody
    assert.equal(response.status, code === 'item_not_found' ? 404 : 400, what)
    assert.deepEqual([error.code, error.param], [code, param], what)
    assert.match(error.message, message, what)
  }
})

test('our own runtime refuses what it has no way to honour, by name', async (t) => {
  const { post, runtime } = await startGateway(t)
  for (const [changes, param] of [
    [{ tools: TOOLS }, 'tools'],
    [{ mood: 'good' }, 'mood'],
    [{ text: { verbosity: 'low' } }, 'text.verbosity'],
    [{ reasoning: { mode: 'pro' } }, 'reasoning.mode'],
    [{ reasoning: { effort: 'low' } }, 'reasoning.effort'],
    [{ text: { format: { type: 'json_object' } } }, 'text.format'],
  ] as const) {
    const response = await post('/v1/responses', { ...ASKED, ...changes })
    assert.equal(response.status, 400, param)
    assert.equal(((await response.json()) as ErrorBody).error.param, param)
  }
  // What asks for nothing is no reason to refuse.
  const harmless = {
    tools: [],
    tool_choice: 'auto',
    parallel_tool_calls: true,
    text: { format: { type: 'text' }, verbosity: 'medium' },
    reasoning: { effort: null },
    truncation: 'disabled',
    service_tier: 'auto',
    background: false,
    include: ['reasoning.encrypted_content'],
    max_tool_calls: 3,
    prompt_cache_key: 'k',
    user: 'someone',
    metadata: null,
    previous_response_id: null,
    instructions: null,
  }
  assert.equal((await post('/v1/responses', { ...ASKED, ...harmless })).status, 200)
  assert.equal(runtime.requests.length, 1)
})

async function messagesOf(t: Parameters<typeof startGateway>[0], input: unknown[]) {
  const backend = new ScriptedBackend()
  const { post } = await startGateway(t, { deps: { routes: backend.routes() } })
  const response = await post('/v1/responses', items(...input))
  assert.equal(response.status, 200, await response.text())
  return backend.lastChat.messages
}

test('images and files reach the backend with their source', async (t) => {
  const [message] = await messagesOf(t, [
    {
      role: 'user',
      content: [
        { type: 'input_text', text: 'What is this?' },
        { type: 'input_image', image_url: 'https://example.org/a.png', detail: 'low' },
        { type: 'input_image', image_url: 'data:image/png;base64,AAAA' },
        { type: 'input_image', file_id: 'file-1' },
        { type: 'input_file', filename: 'a.pdf', file_data: 'data:application/pdf;base64,BBBB' },
        { type: 'input_file', filename: 'b.pdf', file_data: 'CCCC' },
        { type: 'input_file', file_url: 'https://example.org/c.pdf' },
      ],
    },
  ])
  assert.deepEqual(message?.content, [
    { type: 'text', text: 'What is this?' },
    {
      type: 'image',
      source: { kind: 'url', url: 'https://example.org/a.png' },
      detail: 'low',
    },
    {
      type: 'image',
      source: { kind: 'base64', mediaType: 'image/png', data: 'AAAA' },
      detail: 'auto',
    },
    { type: 'image', source: { kind: 'id', id: 'file-1' }, detail: 'auto' },
    {
      type: 'file',
      source: { kind: 'base64', mediaType: 'application/pdf', data: 'BBBB' },
      name: 'a.pdf',
    },
    {
      type: 'file',
      source: { kind: 'base64', mediaType: 'application/pdf', data: 'CCCC' },
      name: 'b.pdf',
    },
    { type: 'file', source: { kind: 'url', url: 'https://example.org/c.pdf' } },
  ])
})

test("the items of one turn are one message again, and two turns' are two", async (t) => {
  const messages = await messagesOf(t, [
    { role: 'developer', content: 'Be short.' },
    { role: 'user', content: 'Sun?' },
    { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'Hm' }] },
    { role: 'assistant', content: [{ type: 'output_text', text: 'Let me see.' }] },
    CALL,
    { ...CALL, call_id: 'call_b', name: 'rain' },
    { ...OUTPUT, output: [{ type: 'input_text', text: 'much' }] },
    { ...OUTPUT, call_id: 'call_b', output: 'none' },
    { type: 'reasoning', id: 'rs_2', summary: [], encrypted_content: 'proof' },
    { role: 'assistant', content: [{ type: 'refusal', refusal: 'I will not say.' }] },
    { role: 'assistant', content: 'Or will I?' },
  ])
  const expected: Message[] = [
    { role: 'developer', content: text('Be short.') },
    { role: 'user', content: text('Sun?') },
    {
      role: 'assistant',
      content: text('Let me see.'),
      toolCalls: [
        { id: 'call_a', name: 'sun', arguments: '{}' },
        { id: 'call_b', name: 'rain', arguments: '{}' },
      ],
      reasoning: [{ text: 'Hm' }],
    },
    { role: 'tool', toolCallId: 'call_a', content: text('much') },
    { role: 'tool', toolCallId: 'call_b', content: text('none') },
    {
      role: 'assistant',
      content: [],
      toolCalls: [],
      refusal: 'I will not say.',
      reasoning: [{ text: '', signature: 'proof' }],
    },
    { role: 'assistant', content: text('Or will I?'), toolCalls: [] },
  ]
  assert.deepEqual(messages, expected)
})

test('a call that was cut and never answered is left out, so that the conversation can go on', async (t) => {
  const messages = await messagesOf(t, [
    { role: 'user', content: 'Sun?' },
    { ...CALL, arguments: '{"ci', status: 'incomplete' },
    { role: 'user', content: 'Well?' },
  ])
  assert.deepEqual(
    messages.map(({ role }) => role),
    ['user', 'user'],
  )
})

test('tools, the choice among them and the format reach the backend in our own terms', async (t) => {
  const backend = new ScriptedBackend()
  const { post } = await startGateway(t, { deps: { routes: backend.routes() } })
  const schema = { type: 'object' }
  await post('/v1/responses', {
    ...ASKED,
    tools: [...TOOLS, { type: 'function', name: 'snow', description: 'White', strict: true }],
    tool_choice: 'required',
    parallel_tool_calls: false,
    text: { format: { type: 'json_schema', name: 'x', schema, strict: true } },
    safety_identifier: 'someone',
  })
  const chat = backend.lastChat
  assert.deepEqual(chat.tools[0], { name: 'sun', parameters: {} })
  assert.deepEqual(chat.tools[2], {
    name: 'snow',
    description: 'White',
    parameters: { type: 'object', properties: {} },
    strict: true,
  })
  assert.equal(chat.toolChoice, 'required')
  assert.equal(chat.parallelToolCalls, false)
  assert.deepEqual(chat.responseFormat, { type: 'json_schema', name: 'x', schema, strict: true })
  assert.equal(chat.user, 'someone')
  assert.deepEqual(chat.extra, {})

  const tool_choice = {
    type: 'allowed_tools',
    mode: 'auto',
    tools: [{ type: 'function', name: 'rain' }],
  }
  await post('/v1/responses', { ...ASKED, tools: TOOLS, tool_choice })
  assert.deepEqual(
    backend.lastChat.tools.map(({ name }) => name),
    ['rain'],
  )
  assert.equal(backend.lastChat.toolChoice, 'auto')
})

test('what is nested without end is refused, and harms nobody', async (t) => {
  const backend = new ScriptedBackend()
  const deps = { routes: backend.routes() }
  const { post } = await startGateway(t, { deps, settings: { bodyLimitBytes: 1024 * 1024 } })
  const deep = `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
  const body = `{"model":"guide","input":"Hi","stream":true,"tools":[{"type":"function","name":"f","parameters":${deep}}]}`
  const response = await post('/v1/responses', body)
  assert.equal(response.status, 400)
  assert.equal(((await response.json()) as ErrorBody).error.param, 'tools')
})
