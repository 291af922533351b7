// Errors that speak against the version that was asked, and not against the request, its client or this gateway.

import { BREAKER_OPEN } from '../routing/route.ts'
import type { ErrorCode } from '../errors.ts'

export const FAULTS_OF_VERSION: readonly (ErrorCode | typeof BREAKER_OPEN)[] = [
  'upstream_unreachable',
  'upstream_timeout',
  'upstream_error',
  'upstream_malformed',
  'upstream_rate_limited',
  'upstream_overloaded',
  'upstream_auth',
  'engine_lost',
  'model_loading',
  'version_not_loaded',
  'version_unusable',
  'runtime_unreachable',
  'overloaded',
  'internal_error',
  // It was its turn, and it had failed so often that it was not asked: else what fails at once would never be asked often
  // enough for a guard to speak.
  BREAKER_OPEN,
]
