// A library with the calls of CUDA's runtime that are used here, over this machine's own memory: what is asked of a GPU can
// be looked at without one. It counts and bounds memory, and puts what is allocated on pages that nothing else has.

import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { makeFolder } from './folder.ts'
import type { Lasting } from './lasting.ts'

export const FAKE_TOTAL_BYTES = 64 * 2 ** 20

/** @returns the library's file; null where there is no C compiler */
export async function makeCudart(t: Lasting): Promise<string | null> {
  const folder = await makeFolder(t, 'cudart')
  const source = join(folder, 'cudart.c')
  await writeFile(source, SOURCE)
  const library = join(folder, 'libcudart.so.12')
  try {
    execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source], { stdio: 'pipe' })
    return library
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
}

const SOURCE = `
#include <stdlib.h>
#include <string.h>

static size_t total = ${FAKE_TOTAL_BYTES}, used = 0;

int cudaSetDevice(int device) { return device == 0 ? 0 : 101; }
const char *cudaGetErrorString(int code) {
  return code == 2 ? "out of memory" : code == 101 ? "invalid device ordinal" : "invalid argument";
}
int cudaMalloc(void **out, size_t bytes) {
  if (used + bytes > total) return 2;
  size_t *block = aligned_alloc(4096, (bytes + 8191) & ~(size_t)4095);
  block[0] = bytes;
  used += bytes;
  *out = (char *)block + 4096;
  memset(*out, 0xff, bytes);
  return 0;
}
int cudaFree(void *memory) {
  size_t *block = (size_t *)((char *)memory - 4096);
  used -= block[0];
  free(block);
  return 0;
}
int cudaMemset(void *memory, int value, size_t bytes) { memset(memory, value, bytes); return 0; }
int cudaMemcpy2D(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t rows, int kind) {
  if (kind != 3 || width > to_pitch || width > from_pitch) return 1;
  for (size_t row = 0; row < rows; row++)
    memcpy((char *)to + row * to_pitch, (const char *)from + row * from_pitch, width);
  return 0;
}
int cudaDeviceSynchronize(void) { return 0; }
int cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes) {
  *free_bytes = total - used;
  *total_bytes = total;
  return 0;
}
`
