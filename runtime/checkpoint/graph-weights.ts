// The files beside an exported graph that hold its weights.
//
// Knows: where the graph says they are. Does not know: what is in them.

import { access } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

import type { GraphOutline } from '../graph/onnx-reader.ts'
import { CheckpointError } from './checkpoint.ts'

/**
 * @param path of the graph
 * @returns paths
 * @throws CheckpointError where one is missing, or would be outside of the graph's folder: an export may come from anywhere
 */
export async function graphWeights(
  path: string,
  { dataFiles }: Pick<GraphOutline, 'dataFiles'>,
): Promise<string[]> {
  const files: string[] = []
  for (const name of dataFiles) {
    if (basename(name) !== name || name === '..' || name === '.') {
      throw new CheckpointError(
        `${path} has weights at ${JSON.stringify(name)}; allowed is the name of a file beside it`,
      )
    }
    const file = join(dirname(path), name)
    if (!(await isThere(file))) {
      throw new CheckpointError(`${file} is missing: ${path} has its weights there`)
    }
    files.push(file)
  }
  return files
}

export const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )
