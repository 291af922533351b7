// The block that a person sees when the server is ready: where it is, which key, which model, and a line to paste.

import type { AdminKey } from '../gateway/callers/admin-key.ts'

export interface WelcomeFacts {
  url: string
  adminKey: AdminKey
  /** null: there is none but those of upstreams */
  model: { version: string; precision: string; isBundled: boolean } | null
}

export function welcome({ url, adminKey, model }: WelcomeFacts): string {
  const { key, file, isNew } = adminKey
  const keptIn = file ? `kept in ${file}` : 'from HEADRACE_ADMIN_KEY'
  const secret = file ? `$(cat ${quote(file)})` : '$HEADRACE_ADMIN_KEY'
  return `
  Headrace is ready.

    URL    ${url}/v1
    Key    ${isNew ? `${key}  (shown this once, ${keptIn})` : keptIn}
    Model  ${model ? `${model.version}, ${model.precision}` : 'none; headrace.yaml and /admin/models declare those of upstreams'}

  curl ${url}/v1/${model ? 'chat/completions' : 'models'} -H "Authorization: Bearer ${secret}"${model ? bodyFor(model) : ''}

`
}

function bodyFor({ version, isBundled }: { version: string; isBundled: boolean }): string {
  const question = isBundled
    ? 'How do I roll back a model version?'
    : 'What is the capital of France?'
  const body = {
    model: version.split('@')[0],
    messages: [{ role: 'user', content: question }],
    temperature: 0,
  }
  return ` -H 'Content-Type: application/json' -d '${JSON.stringify(body)}'`
}

function quote(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`
}
