// The environment that the bench's processes get: this one's, without settings that would change what is measured.

const OURS = /^(HEADRACE_|RUNTIME_URLS$|DATABASE_URL$|ORT_|ONNXRUNTIME_|LLAMA_|NODE_LLAMA_|OMP_)/

export function cleanEnvironment(more: Record<string, string> = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !OURS.test(name))
  return { ...Object.fromEntries(kept), ...more }
}
