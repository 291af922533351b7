// Picks the files that make a LoRA adapter (PEFT) out of everything that a repository, a package or a folder holds.
//
// An adapter is a folder with adapter_config.json and adapter_model.safetensors. adapter_model.bin is a pickle, and reading
// one runs code: it is never taken.
//
// Knows: file names. Does not know: where the files are, what is in them.

import { matchesGlob, posix } from 'node:path'

import { DOCUMENT, pickCheckpoint } from './checkpoint-files.ts'
import type { CheckpointFiles } from './checkpoint-files.ts'
import { SourceError } from './fetched.ts'
import type { SourceContent } from './fetched.ts'

const CONFIG_FILE = 'adapter_config.json'
const WEIGHTS_FILE = 'adapter_model.safetensors'
const PICKLE_FILE = 'adapter_model.bin'

/** As pickCheckpoint, for either content. */
export function pickFiles(
  content: SourceContent | undefined,
  ...where: Parameters<typeof pickCheckpoint>
): CheckpointFiles {
  return content === 'adapter' ? pickAdapter(...where) : pickCheckpoint(...where)
}

function pickAdapter(
  paths: string[],
  wanted: string | null,
  place: string,
  hint: string,
): CheckpointFiles {
  const folders = paths
    .filter((path) => posix.basename(path) === CONFIG_FILE)
    .map((path) => posix.dirname(path))
    .filter((folder) => wanted === null || folder === wanted || matchesGlob(folder, wanted))
  // A repository's own top is what it is about; what lies deeper are checkpoints of its training.
  const folder = wanted === null && folders.includes('.') ? '.' : folders[0]
  if (folder === undefined) {
    throw new SourceError(
      `${place} holds no LoRA adapter (${CONFIG_FILE} with ${WEIGHTS_FILE}), and one is needed for --base; ` +
        `it holds ${paths.slice(0, 12).join(', ') || 'nothing'}`,
    )
  }
  if (folder !== '.' && folders.length > 1) {
    throw new SourceError(
      `${place} holds several adapters; name one as ${hint}: ${folders.join(', ')}`,
    )
  }
  const beside = paths.filter((path) => posix.dirname(path) === folder)
  const names = beside.map((path) => posix.basename(path))
  if (!names.includes(WEIGHTS_FILE)) {
    const reason = names.includes(PICKLE_FILE)
      ? `only ${PICKLE_FILE}, which can't be read without running code`
      : `no ${WEIGHTS_FILE}`
    throw new SourceError(`${place} holds ${reason}; supported is ${WEIGHTS_FILE}`)
  }
  const files = beside.filter((path) => [CONFIG_FILE, WEIGHTS_FILE].includes(posix.basename(path)))
  const documents = beside.filter((path) => DOCUMENT.test(posix.basename(path)))
  return { kind: 'folder', main: null, files: files.sort(), documents }
}
