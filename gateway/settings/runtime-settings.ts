// Settings: how models are loaded and served, and what several gateways and runtimes share.

import {
  readModelNames,
  readRuntimeUrl,
  readRuntimeUrls,
  secret,
  text,
  whole,
} from './setting-kinds.ts'
import type { Setting } from './setting-kinds.ts'

const KIB = 1024
const MIB = 1024 * KIB
const GIB = 1024 * MIB

export const RUNTIME_SETTINGS = {
  drainMs: whole({
    name: 'HEADRACE_DRAIN_MS',
    default: '30000',
    about: 'time that running answers get to end when the server stops',
    min: 0,
    max: 3_600_000,
  }),
  deploymentKeepS: whole({
    name: 'HEADRACE_DEPLOYMENT_KEEP_S',
    default: '600',
    about:
      'seconds that a version stays loaded after a deployment displaced it, to be gone back to at once',
    min: 5,
    max: 2_592_000,
  }),
  threads: whole({
    name: 'HEADRACE_THREADS',
    default: null,
    about: 'threads of a forward pass; without it one for each core',
    min: 1,
    max: 1024,
  }),
  device: text({
    name: 'HEADRACE_DEVICE',
    default: 'cpu',
    about: 'what a runtime computes on: `cpu`, `cuda`, `cuda:N` or `webgpu`; see [GPUs](gpu.md)',
    allowed: 'cpu, cuda, cuda:N (N a number from 0 to 99) or webgpu',
    pattern: /^(cpu|webgpu|cuda(:\d{1,2})?)$/,
  }),
  runtimeLibrary: text({
    name: 'ONNXRUNTIME_LIB',
    default: null,
    about: 'path of another build of ONNX Runtime; without it the one of its npm package',
    allowed: 'an absolute path',
    pattern: /^\/./,
  }),
  slots: whole({
    name: 'HEADRACE_SLOTS',
    default: '32',
    about: 'sequences that one version computes at once',
    min: 1,
    max: 1024,
  }),
  contextTokens: whole({
    name: 'HEADRACE_CONTEXT',
    default: null,
    about: 'most tokens of a sequence; without it what the model was trained for',
    min: 16,
    max: 16_777_216,
  }),
  kvBytes: whole({
    name: 'HEADRACE_KV_BYTES',
    default: null,
    about: "memory of one version's KV cache; without it a share of the machine's",
    min: MIB,
    max: Number.MAX_SAFE_INTEGER,
  }),
  memoryBytes: whole({
    name: 'HEADRACE_MEMORY_BYTES',
    default: null,
    about: "memory that a runtime's versions may have together; without it most of the machine's",
    min: MIB,
    max: Number.MAX_SAFE_INTEGER,
  }),
  idleUnloadS: whole({
    name: 'HEADRACE_IDLE_UNLOAD_S',
    default: '900',
    about:
      'seconds without a request after which a version that nothing wants is unloaded; 0: never',
    min: 0,
    max: 31_536_000,
  }),
  keepWarm: {
    name: 'HEADRACE_KEEP_WARM',
    default: null,
    about: 'models or versions that stay loaded whether or not they are asked, separated by commas',
    allowed: 'names such as support-chat or support-chat@3, separated by commas',
    read: readModelNames,
  } satisfies Setting<string[], null>,
  hostCopies: whole({
    name: 'HEADRACE_HOST_COPIES',
    default: null,
    about: 'runtimes that a version is loaded on; without it every one that has room',
    min: 1,
    max: 10_000,
  }),
  loadWaitS: whole({
    name: 'HEADRACE_LOAD_WAIT_S',
    default: '30',
    about:
      'seconds that a request waits for its version to be loaded before it is told to come back',
    min: 0,
    max: 3_600,
  }),
  maxWaiting: whole({
    name: 'HEADRACE_MAX_WAITING',
    default: '256',
    about: 'requests that may wait for a slot before the answer is `overloaded`',
    min: 0,
    max: 1_000_000,
  }),
  maxConcurrent: whole({
    name: 'HEADRACE_MAX_CONCURRENT',
    default: '1000',
    about: 'requests in hand at once before the answer is `overloaded`',
    min: 1,
    max: 1_000_000,
  }),
  redisUrl: text({
    name: 'REDIS_URL',
    default: null,
    about: 'Redis in which several gateways share limits and kept answers',
    allowed: 'redis://user:password@host:port/number, or rediss:// with TLS',
    pattern: /^rediss?:\/\/\S+$/,
    isSecret: true,
  }),
  cacheBytes: whole({
    name: 'HEADRACE_CACHE_BYTES',
    default: String(64 * MIB),
    about: 'memory for answers that are kept to be given again',
    min: MIB,
    max: 64 * GIB,
  }),
  runtimeUrls: {
    name: 'RUNTIME_URLS',
    default: null,
    about: 'runtimes to use instead of one of its own, separated by commas',
    allowed: 'addresses http://host:port or unix:/path/of.sock, separated by commas',
    read: readRuntimeUrls,
  } satisfies Setting<string[], null>,
  runtimeListen: {
    name: 'HEADRACE_RUNTIME_LISTEN',
    default: 'http://127.0.0.1:8090',
    about: 'where `headrace runtime` listens',
    allowed: 'http://host:port or unix:/path/of.sock',
    read: readRuntimeUrl,
  } satisfies Setting<string, string>,
  runtimeToken: secret({
    name: 'HEADRACE_RUNTIME_TOKEN',
    default: null,
    about: 'shared by gateway and runtime; needed where a runtime listens beyond loopback',
  }),
  hubToken: text({
    name: 'HF_TOKEN',
    default: null,
    about: 'access token for models of the Hugging Face hub',
    allowed: 'a token without spaces',
    pattern: /^\S+$/,
    isSecret: true,
  }),
  hubUrl: text({
    name: 'HF_ENDPOINT',
    default: null,
    about: 'mirror to use instead of the Hugging Face hub',
    allowed: 'an address that begins with https:// or http://',
    pattern: /^https?:\/\/\S+$/,
  }),
}
