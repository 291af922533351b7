// A folder for PATH with an nvidia-smi in it that tells of GPUs which aren't there.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { makeFolder } from './folder.ts'
import type { Lasting } from './lasting.ts'

/** @param script what it does instead of telling of an H200 and an L4 */
export async function makeNvidiaSmi(t: Lasting, script = TWO_GPUS): Promise<string> {
  const folder = await makeFolder(t, 'nvidia-smi')
  await writeFile(join(folder, 'nvidia-smi'), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  return folder
}

const TWO_GPUS = `case "$1" in
--query-gpu=*)
  echo '0, NVIDIA H200, 570.86.15, 143771, 143003, 9.0'
  echo '1, NVIDIA L4, 570.86.15, 23034, 1034, 8.9'
  ;;
*) echo '| NVIDIA-SMI 570.86.15    Driver Version: 570.86.15    CUDA Version: 12.8 |' ;;
esac`
