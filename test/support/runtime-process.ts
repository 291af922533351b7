// A runtime host as a process of its own, on fake engines: its settings are its first argument; it says `ready <address>`.

import { runRuntime } from '../../runtime/main.ts'
import { FAKE_ENGINE } from './runtime.ts'
import type { RuntimeSettings } from '../../runtime/settings.ts'

const settings = JSON.parse(process.argv[2] ?? '') as RuntimeSettings
const quiet = () => {}
const logger = { info: quiet, warn: quiet, error: quiet }
const runtime = await runRuntime(settings, logger, { engineEntry: FAKE_ENGINE })
console.log(`ready ${runtime.address}`)
