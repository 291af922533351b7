// Makes llama.cpp's own quantisations of a GGUF, by llama.cpp's own code: llama_model_quantize of its library.
//
// A worker: the library prints, and keeps what it allocates.

import koffi from 'koffi'

import { answerParent } from '../worker.ts'
import { libraryPaths } from './package.ts'

export interface QuantiseAsk {
  from: string
  to: string
  /** of llama.h's enum llama_ftype */
  fileType: number
  threads: number
}

// llama.h's struct llama_model_quantize_params begins `int32_t nthread; enum llama_ftype ftype;`, then two tensor types
// of four bytes, then `bool allow_requantize`. The rest is left as the library's defaults have it; the struct is handed
// back and forth as bytes, more of them than it has, so that newer fields travel too.
const PARAMS_BYTES = 256
const THREADS_OFFSET = 0
const FILE_TYPE_OFFSET = 4
const ALLOW_REQUANTIZE_OFFSET = 16

answerParent(async ({ from, to, fileType, threads }: QuantiseAsk) => {
  const libraries = (await libraryPaths()).map((path) => koffi.load(path, { global: true }))
  const library = libraries.at(-1)!
  const Params = koffi.struct('QuantiseParams', {
    bytes: koffi.array('uint8', PARAMS_BYTES, 'Typed'),
  })
  const defaults = library.func('llama_model_quantize_default_params', Params, [])
  const quantise = library.func('llama_model_quantize', 'uint32', [
    'str',
    'str',
    koffi.pointer(Params),
  ])
  library.func('void llama_backend_init()')()

  const { bytes } = defaults() as { bytes: Uint8Array }
  const params = new DataView(Uint8Array.from(bytes).buffer)
  params.setInt32(THREADS_OFFSET, threads, true)
  params.setInt32(FILE_TYPE_OFFSET, fileType, true)
  params.setUint8(ALLOW_REQUANTIZE_OFFSET, 1)
  const code = quantise(from, to, { bytes: new Uint8Array(params.buffer) }) as number
  if (code !== 0) throw new Error(`llama_model_quantize of ${from} failed with ${code}`)
  return null
})
