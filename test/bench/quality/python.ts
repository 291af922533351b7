// A Python that has PyTorch, and transformers in an environment beside it, made once.

import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'

import { canRun, runCommand } from '../command.ts'
import type { CommandOptions } from '../command.ts'
import { cleanEnvironment } from '../environment.ts'
import { CACHE_DIR } from '../folders.ts'
import type { Progress } from '../progress.ts'

const CANDIDATES = ['/usr/bin/python3', 'python3']
/** the newest that still runs on the PyTorch of Debian 12 */
const TRANSFORMERS = 'transformers==4.40.*'

/** @returns path of the environment's Python, or why there is none */
export async function findPython(
  progress: Progress,
  signal: AbortSignal,
): Promise<{ python: string } | { reason: string }> {
  const options: CommandOptions = {
    env: cleanEnvironment({ HF_HUB_OFFLINE: '1', TRANSFORMERS_OFFLINE: '1' }),
    signal,
  }
  const base = await firstWithTorch(options)
  signal.throwIfAborted()
  if (base === null) return { reason: `no PyTorch in ${CANDIDATES.join(' or ')}` }
  const folder = join(CACHE_DIR, 'venv')
  const python = join(folder, 'bin/python')
  if (existsSync(python) && (await canRun(python, ['-c', 'import transformers'], options))) {
    return { python }
  }
  progress(`reference: installing ${TRANSFORMERS}`)
  try {
    await rm(folder, { recursive: true, force: true })
    await runCommand(base, ['-m', 'venv', '--system-site-packages', folder], options)
    // Text models need only what transformers itself asks for, and a template engine.
    await runCommand(
      python,
      ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', TRANSFORMERS, 'jinja2'],
      options,
    )
  } catch (error) {
    signal.throwIfAborted()
    // What is half made must not be found the next time.
    await rm(folder, { recursive: true, force: true })
    return { reason: `transformers can't be installed: ${String(error)}` }
  }
  return { python }
}

async function firstWithTorch(options: CommandOptions): Promise<string | null> {
  for (const candidate of CANDIDATES) {
    if (await canRun(candidate, ['-c', 'import torch'], options)) return candidate
  }
  return null
}
