// Parts of a message's content, as clients write them.

import { given } from '../openai/violation.ts'
import { isAbsent, missing, object, optionalString, string, unsupported } from './fields.ts'
import type { InputPart, OutputPart } from './item.ts'

/** Of what users, developers and tools say. */
export function readInputPart(value: unknown, path: string): InputPart {
  const fields = object(value, path)
  switch (fields['type']) {
    // Clients that write all messages alike mean the same by it.
    case 'output_text':
    case 'input_text':
      return { type: 'input_text', text: string(fields, 'text', path) }
    case 'input_image': {
      const url = optionalString(fields, 'image_url', path)
      const file = optionalString(fields, 'file_id', path)
      if (url === null && file === null) throw missing(`${path}.image_url`, "or 'file_id'")
      return {
        type: 'input_image',
        detail: optionalString(fields, 'detail', path) ?? 'auto',
        ...(url !== null && { image_url: url }),
        ...(file !== null && { file_id: file }),
      }
    }
    case 'input_file': {
      const part: InputPart = { type: 'input_file' }
      for (const field of ['filename', 'file_data', 'file_id', 'file_url'] as const) {
        const text = optionalString(fields, field, path)
        if (text !== null) part[field] = text
      }
      if (!part.file_data && !part.file_id && !part.file_url) {
        throw missing(`${path}.file_data`, "or 'file_id', or 'file_url'")
      }
      return part
    }
    default:
      throw unknownPart(fields['type'], path, '"input_text", "input_image" and "input_file"')
  }
}

/** Of what the model said before. */
export function readOutputPart(value: unknown, path: string): OutputPart {
  const fields = object(value, path)
  switch (fields['type']) {
    case 'input_text':
    case 'output_text':
      // What an earlier answer's text came with is not asked again.
      return {
        type: 'output_text',
        text: string(fields, 'text', path),
        annotations: [],
        logprobs: [],
      }
    case 'refusal':
      return { type: 'refusal', refusal: string(fields, 'refusal', path) }
    default:
      throw unknownPart(fields['type'], path, '"output_text" and "refusal"')
  }
}

function unknownPart(type: unknown, path: string, known: string) {
  if (isAbsent(type)) return missing(`${path}.type`, 'the kind of part')
  return unsupported(
    `${path}.type`,
    `A part of type ${given(type)} ('${path}')`,
    `there are ${known} here`,
  )
}
