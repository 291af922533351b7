// Whether a version's graph has kernels on a device, and what to do where it has none.
//
// ONNX Runtime falls back to the processor for operators that a device doesn't have, one by one. Attention that does would
// carry the whole KV cache there and back in every layer, which works and is of no use to anybody.
//
// Knows: precisions and devices. Does not know: ONNX.

import { GPU_PRECISIONS } from '../../models/manifest.ts'
import type { Manifest } from '../../models/manifest.ts'
import type { Device } from '../protocol.ts'

/** @returns null where it can be served; what is wrong, and what can be done, otherwise */
export function deviceMismatch(manifest: Manifest, device: Device): string | null {
  // Encoders compute on the processor everywhere.
  if (device !== 'cuda' || manifest.kind !== 'generate') return null
  const { graph, precision, model } = manifest
  if (graph.kvType === 'f16' && graph.layout !== 'growing') return null
  return (
    `its precision is ${precision}, and attention on a GPU of NVIDIA's computes in half precision alone. ` +
    `Import ${model} again with --precision ${GPU_PRECISIONS.join(' or ')}, or serve it on a runtime with ` +
    `HEADRACE_DEVICE=cpu.`
  )
}
