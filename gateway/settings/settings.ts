// Every setting of the environment: its name, default, what it is, what is allowed, and how its text is read.
//
// The lists are data, one for each subject: config.ts reads the environment by them and docs/settings.md is held against
// them, in their order. A setting that isn't here does not exist.
//
// Knows: names and texts. Does not know: process.env, what the settings are used for.
//
// Adding a setting: an entry in the list of its subject, and its line in docs/settings.md.

import { EXCHANGE_LOG_SETTINGS } from './exchange-log-settings.ts'
import { RUNTIME_SETTINGS } from './runtime-settings.ts'
import { SERVER_SETTINGS } from './server-settings.ts'
import { WATCHING_SETTINGS } from './watching-settings.ts'
import type { Setting } from './setting-kinds.ts'

export const SETTINGS = {
  ...SERVER_SETTINGS,
  ...WATCHING_SETTINGS,
  ...EXCHANGE_LOG_SETTINGS,
  ...RUNTIME_SETTINGS,
}

/** What the settings are read as; null where one is not set and has no default. */
export type Settings = { [Key in keyof typeof SETTINGS]: Value<(typeof SETTINGS)[Key]> }

type Value<S> = S extends Setting<infer T, infer Default> ? T | Extract<Default, null> : never
