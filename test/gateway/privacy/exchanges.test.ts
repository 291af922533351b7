// What is kept of texts, from the request to every place where something is kept: tables, the spool, log lines.

import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { pino } from 'pino'

import { createLogger } from '../../../cli/console-log.ts'
import { OpenAIUpstream } from '../../../gateway/backends/upstream/openai.ts'
import { KeptResponses } from '../../../gateway/responses/kept-responses.ts'
import { startAdmin } from '../../support/admin.ts'
import { openExchangeLog } from '../../support/exchange-log.ts'
import { privacyOf } from '../../support/gateway.ts'
import { recordLog } from '../../support/logger.ts'
import { usePostgres } from '../../support/postgres.ts'
import { ScriptedUpstream } from '../../support/scripted-upstream.ts'
import { FAR_MODEL, routeTo, targetOf } from '../../support/upstream-gateway.ts'
import type { BodyPolicy } from '../../../gateway/callers/body-policy.ts'
import type { Pool } from '../../../gateway/db/pool.ts'

const postgres = usePostgres()
