// LiteLLM's proxy, from a virtual environment in the bench's cache; it keeps no log and has no limits here.

import { access, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { canRun, runCommand } from '../command.ts'
import { cleanEnvironment } from '../environment.ts'
import { CACHE_DIR } from '../folders.ts'
import { CHAT_PATH } from './contestant.ts'
import { freePort, Program } from './program.ts'
import { MODEL } from './wire.ts'
import type { Progress } from '../progress.ts'
import type { Contestant, StartOptions } from './contestant.ts'

const RELEASE = '1.106.2'
const HOME = join(CACHE_DIR, 'overhead/litellm')
const VENV = join(HOME, 'venv')
const BIN = join(VENV, 'bin')
const MASTER_KEY = 'sk-bench'

/** @returns the contestant, or why there is none */
export async function startLiteLLM(
  options: StartOptions & { progress: Progress },
): Promise<Contestant | string> {
  const { upstream, signal, progress } = options
  const reason = await install(progress, signal)
  if (reason !== null) return reason
  const config = join(HOME, 'config.json')
  await writeFile(config, JSON.stringify(configOf(upstream)))
  const port = await freePort()
  const args = ['--config', config, '--host', '127.0.0.1', '--port', String(port)]
  const health = `http://127.0.0.1:${port}/health/liveliness`
  let program: Program
  try {
    program = await Program.serving(health, join(BIN, 'litellm'), args, {
      cwd: HOME,
      env: { LITELLM_LOCAL_MODEL_COST_MAP: 'True', LITELLM_LOG: 'ERROR' },
      signal,
    })
  } catch (error) {
    signal.throwIfAborted()
    return error instanceof Error ? error.message : String(error)
  }
  return {
    name: 'LiteLLM',
    url: `http://127.0.0.1:${port}${CHAT_PATH}`,
    headers: { authorization: `Bearer ${MASTER_KEY}` },
    pid: program.pid,
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  }
}

function configOf(upstream: string) {
  const params = { model: `openai/${MODEL}`, api_base: `${upstream}/v1`, api_key: 'sk-bench' }
  return {
    model_list: [{ model_name: MODEL, litellm_params: params }],
    general_settings: { master_key: MASTER_KEY },
    litellm_settings: { telemetry: false },
  }
}

/** @returns why it can't be had; null where it is there */
async function install(progress: Progress, signal: AbortSignal): Promise<string | null> {
  const stamp = join(HOME, `installed-${RELEASE}`)
  const isThere = await access(stamp).then(
    () => true,
    () => false,
  )
  if (isThere) return null
  const run = { env: cleanEnvironment(), signal }
  if (!(await canRun('python3', ['-c', 'import venv, ensurepip'], run))) {
    return 'there is no python3 with venv'
  }
  progress(`LiteLLM: installing ${RELEASE}`)
  await rm(HOME, { recursive: true, force: true })
  await mkdir(HOME, { recursive: true })
  try {
    await runCommand('python3', ['-m', 'venv', VENV], run)
    await runCommand(join(BIN, 'pip'), ['install', '-q', `litellm[proxy]==${RELEASE}`], run)
  } catch (error) {
    signal.throwIfAborted()
    return `pip can't install it: ${error instanceof Error ? error.message : String(error)}`
  }
  await writeFile(stamp, '')
  return null
}
