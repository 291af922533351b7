// Where the parts of the dialect are at a server, and how its key is sent.
//
// Azure OpenAI has two ways: the older names a deployment in the path and a version of the API in the query, the newer
// (`v1`) is laid out as OpenAI's own. Both take the key in a header of their own.

export interface AzureOptions {
  /** `deployments`: the model is the name of a deployment, and goes into the path */
  style: 'deployments' | 'v1'
  /** `2024-10-21`; the older way can't do without, the newer takes `preview` */
  apiVersion?: string
}

export interface Address {
  baseUrl: string
  headers: Record<string, string>
  /** OpenAI's own models, there or at Azure: what they take is the newest of the dialect */
  isOpenAIs: boolean
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
    const host = URL.canParse(baseUrl) ? new URL(baseUrl).hostname : ''
    return {
      baseUrl,
      isOpenAIs: host === 'openai.com' || host.endsWith('.openai.com'),
      headers: apiKey === null ? {} : { authorization: `Bearer ${apiKey}` },
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
      isOpenAIs: true,
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
    isOpenAIs: true,
    pathOf: (path, model) =>
      model === null ? path + query : `/deployments/${encodeURIComponent(model)}${path}${query}`,
  }
}
