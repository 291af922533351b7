// Traces where there is somewhere to send them. What they need is loaded only then.

import type { Logger } from '../logger.ts'
import type { Settings } from '../settings/settings.ts'
import type { Traces } from './traces.ts'

/** @returns null where none are asked for */
export async function openTraces(
  settings: Pick<Settings, 'tracesUrl' | 'tracesHeaders' | 'tracesName' | 'tracesShare'>,
  release: string,
  logger: Pick<Logger, 'warn'>,
): Promise<Traces | null> {
  const { tracesUrl, tracesHeaders, tracesName, tracesShare } = settings
  if (tracesUrl === null) return null
  const { OpenTelemetry } = await import('./opentelemetry.ts')
  return new OpenTelemetry({
    endpoint: tracesUrl,
    headers: tracesHeaders ?? {},
    serviceName: tracesName,
    release,
    share: tracesShare,
    logger,
  })
}
