// The backend that a declared upstream stands for.
//
// Adding an API: a class beside these, its name in declared/schema.ts, its line here.

import { AnthropicUpstream } from './anthropic.ts'
import { GeminiUpstream } from './gemini.ts'
import { OpenAIUpstream } from './openai.ts'
import type { DeclaredUpstream } from '../../declared/schema.ts'
import type { DeclaredBackend } from '../../declared/upstreams.ts'

const OPENAI = 'https://api.openai.com/v1'

/** @throws Error where the address is none */
export function makeUpstream(declared: DeclaredUpstream): DeclaredBackend {
  const { api, base_url: baseUrl, key, headers, api_version: apiVersion } = declared
  const options = {
    apiKey: key ?? null,
    ...(baseUrl !== undefined && { baseUrl }),
    ...(headers && { headers }),
    ...(declared.connect_ms !== undefined && { connectMs: declared.connect_ms }),
    ...(declared.max_connections !== undefined && { connections: declared.max_connections }),
  }
  switch (api) {
    case 'anthropic':
      return new AnthropicUpstream(options)
    case 'gemini':
      return new GeminiUpstream(options)
    case 'openai':
    case 'compatible':
    case 'azure':
      return new OpenAIUpstream({
        baseUrl: OPENAI,
        ...options,
        ...(declared.stream_usage !== undefined && { streamUsage: declared.stream_usage }),
        ...(api === 'azure' && {
          azure: apiVersion === undefined ? { style: 'v1' } : { style: 'deployments', apiVersion },
        }),
      })
  }
}
