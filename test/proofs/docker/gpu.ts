// The profile `gpu`, as far as a host without a GPU can show it: the image has ONNX Runtime's CUDA build and every library
// that this is linked to, so that its doctor misses the driver alone, which is the host's.

import type { Findings } from '../../../runtime/doctor/doctor.ts'
import type { Verdict } from '../verdict.ts'
import { HARDENED, imageOf } from './images.ts'
import type { Containers } from './containers.ts'

/** the container toolkit brings both where a GPU is reserved */
const OF_THE_HOST = /nvidia-smi|^libcuda\.so\.1 /

export async function proveGpu(containers: Containers, verdict: Verdict) {
  // It exits with 1: what is missing is what is asked for.
  const run = 'headrace runtime doctor --json || true'
  const entry = ['--entrypoint', 'sh', imageOf('runtime-cuda'), '-c', run]
  const options = ['run', '--rm', '--no-healthcheck', '--network', 'none', ...HARDENED]
  const found = JSON.parse(await containers.run('podman', [...options, ...entry])) as Findings
  const { onnxRuntime, cudaLibraries, problems } = found
  verdict.hold(
    'ONNX Runtime in the image for GPUs has the CUDA provider',
    onnxRuntime?.providers.includes('CUDAExecutionProvider') === true,
    `${onnxRuntime?.version}: ${onnxRuntime?.providers.join(', ')}`,
  )
  const there = cudaLibraries.filter(({ path }) => path !== null)
  const missing = problems.filter(({ what }) => !OF_THE_HOST.test(what))
  verdict.hold(
    'it misses nothing but the driver, which is the host’s',
    there.length >= 6 && missing.length === 0,
    missing.map(({ what }) => what).join(' ') || `${there.length} libraries are there`,
  )
}
