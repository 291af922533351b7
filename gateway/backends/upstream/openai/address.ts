// Where the parts of the dialect are at a server, and how its key is sent.
//
// Azure OpenAI has two ways: the older names a deployment in the path and a version of the API in the query, the newer
// (`v1`) is laid out as OpenAI's own. Both take the key in a header of their own.

import type { WireOptions } from './generation-body.ts'

export interface AzureOptions {
  /** `deployments`: the model is the name of a deployment, and goes into the path */
  style: 'deployments' | 'v1'
  /** `2024-10-21`; the older way can't do without, the newer takes `preview` */
  apiVersion?: string
}

export interface Address {
  baseUrl: string
  headers: Record<string, string>
  maxTokensField: WireOptions['maxTokensField']
  /** @param path of the dialect, from the version on: `/chat/completions` */
  pathOf(path: string, model: string | null): string
}

/** @throws Error where an option is missing */
export function addressOf(
  baseUrl: string,
  apiKey: string | null,
  azure: AzureOptions | undefined,
): Address {
  if (!azure) {
    const isOpenAIs = URL.canParse(baseUrl) && new URL(baseUrl).hostname.endsWith('openai.com')
    return {
      baseUrl,
      headers: apiKey === null ? {} : { authorization: `Bearer ${apiKey}` },
      maxTokensField: isOpenAIs ? 'max_completion_tokens' : 'max_tokens',
      pathOf: (path) => path,
    }
  }
  const { style, apiVersion } = azure
  const headers: Record<string, string> = apiKey === null ? {} : { 'api-key': apiKey }
  const query = apiVersion === undefined ? '' : `?api-version=${encodeURIComponent(apiVersion)}`
  const root = baseUrl.replace(/\/+$/, '').replace(/\/openai(\/v1)?$/, '')
  if (style === 'v1') {
    return {
      baseUrl: `${root}/openai/v1`,
      headers,
      maxTokensField: 'max_completion_tokens',
      pathOf: (path) => path + query,
    }
  }
  if (apiVersion === undefined) {
    throw new Error(
      "An Azure upstream with the style 'deployments' needs an API version, such as 2024-10-21.",
    )
  }
  return {
    baseUrl: `${root}/openai`,
    headers,
    maxTokensField: 'max_completion_tokens',
    pathOf: (path, model) =>
      model === null ? path + query : `/deployments/${encodeURIComponent(model)}${path}${query}`,
  }
}
