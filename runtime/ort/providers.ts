// Which of ONNX Runtime's execution providers a device wants, and what to say where the library has none of the kind.
//
// Knows: providers' names. Does not know: how they are told, what they need in turn.

import { OrtError } from './api.ts'
import type { Ort } from './api.ts'
import type { Device } from '../protocol.ts'

const PROVIDERS: Record<Device, string> = {
  cpu: 'CPUExecutionProvider',
  cuda: 'CUDAExecutionProvider',
  webgpu: 'WebGpuExecutionProvider',
}

export function hasProvider(ort: Ort, device: Device): boolean {
  return ort.providers().includes(PROVIDERS[device])
}

/** @throws OrtError naming the providers that there are, and where to get the other */
export function requireProvider(ort: Ort, device: Device): void {
  if (hasProvider(ort, device)) return
  throw new OrtError(
    `The device ${device} needs ONNX Runtime's ${PROVIDERS[device]}, and ${ort.file} (${ort.version}) has ` +
      `${ort.providers().join(', ')}. ONNXRUNTIME_LIB names a build that has it; docs/gpu.md says where they are.`,
  )
}
