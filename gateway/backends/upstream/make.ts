// The backend that a declared upstream stands for.
//
// Adding an API: a class beside these, its name in declared/schema.ts, its line here.

import { OpenAIUpstream } from './openai.ts'
import type { ClosableBackend } from '../../declared/upstreams.ts'
import type { DeclaredUpstream } from '../../declared/schema.ts'

const OPENAI = 'https://api.openai.com/v1'

/** @throws Error where the address is none */
export function makeUpstream(declared: DeclaredUpstream): ClosableBackend {
  const { api, base_url: baseUrl, key, headers, api_version: apiVersion } = declared
  const shared = {
    apiKey: key ?? null,
    ...(headers && { headers }),
    ...(declared.connect_ms !== undefined && { connectMs: declared.connect_ms }),
    ...(declared.max_connections !== undefined && { connections: declared.max_connections }),
  }
  switch (api) {
    case 'openai':
    case 'compatible':
    case 'azure':
      return new OpenAIUpstream({
        ...shared,
        baseUrl: baseUrl ?? OPENAI,
        ...(declared.stream_usage !== undefined && { streamUsage: declared.stream_usage }),
        ...(api === 'azure' && {
          azure: apiVersion === undefined ? { style: 'v1' } : { style: 'deployments', apiVersion },
        }),
      })
    case 'anthropic':
    case 'gemini':
      throw new Error(`There is no backend for ${api} yet.`)
  }
}
