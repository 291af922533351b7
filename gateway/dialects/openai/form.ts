// One field of a form with files (multipart/form-data, RFC 7578), found and replaced without taking the form apart.
//
// A form that goes on to an upstream as it is needs no parser: which model it is for has to be read, and perhaps be
// written anew. Everything else, the files above all, is left where it is.

const CRLF = '\r\n'
/** `name="x"` of a part's head; browsers and clients quote it */
const NAME = /;\s*name="([^"]*)"/i
const IS_FILE = /;\s*filename\*?=/i

interface Span {
  start: number
  end: number
}

export interface Field extends Span {
  value: string
}

/** @returns null where there is no such field, or the bytes are no form */
export function findField(form: Buffer, contentType: string, name: string): Field | null {
  const boundary = boundaryOf(contentType)
  if (boundary === null) return null
  for (const { head, start, end } of partsOf(form, boundary)) {
    if (NAME.exec(head)?.[1] !== name || IS_FILE.test(head)) continue
    return { start, end, value: form.toString('utf8', start, end) }
  }
  return null
}

export function replaceField(form: Buffer, { start, end }: Span, value: string): Buffer {
  return Buffer.concat([form.subarray(0, start), Buffer.from(value), form.subarray(end)])
}

function boundaryOf(contentType: string): string | null {
  const given = /;\s*boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(contentType)
  return given?.[1] ?? given?.[2] ?? null
}

function* partsOf(form: Buffer, boundary: string): Generator<Span & { head: string }> {
  const delimiter = `--${boundary}`
  let at = form.indexOf(delimiter)
  while (at >= 0) {
    const headStart = at + delimiter.length + CRLF.length
    const headEnd = form.indexOf(CRLF + CRLF, headStart)
    const end = form.indexOf(CRLF + delimiter, headEnd)
    if (headEnd < 0 || end < 0) return
    const start = headEnd + 2 * CRLF.length
    yield { head: form.toString('utf8', headStart, headEnd), start, end }
    at = end + CRLF.length
  }
}
