// A runtime host as a process of its own: its settings are its first argument, and its engines are fake ones unless the
// second is `real`; it says `ready <address>`.

import { runRuntime } from '../../runtime/main.ts'
import { FAKE_ENGINE } from './runtime.ts'
import type { RuntimeSettings } from '../../runtime/settings.ts'

const settings = JSON.parse(process.argv[2] ?? '') as RuntimeSettings
const quiet = () => {}
const logger = { info: quiet, warn: quiet, error: quiet }
const options = process.argv[3] === 'real' ? {} : { engineEntry: FAKE_ENGINE }
const runtime = await runRuntime(settings, logger, options)
console.log(`ready ${runtime.address}`)
