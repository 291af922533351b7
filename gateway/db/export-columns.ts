// What of an exchange goes out: a column of an export for each, in this order, and of which kind its values are.
//
// The order and the kinds are part of the API: columns are added at the end of their list, and never change their kind.

/**
 * What PostgreSQL's driver makes of each: `time` a Date, `integer` and `real` (32 bits) numbers, `usd` the text of a
 * decimal number with nine places, `flag` a boolean, `texts` an array, `json` its text.
 */
export type ColumnKind = 'text' | 'time' | 'integer' | 'real' | 'usd' | 'flag' | 'texts' | 'json'

export interface ExportColumn {
  name: string
  kind: ColumnKind
  /** never null */
  isGiven?: boolean
}

/** Of `exchanges`. */
export const EXPORT_COLUMNS: readonly ExportColumn[] = [
  { name: 'id', kind: 'text', isGiven: true },
  { name: 'started_at', kind: 'time', isGiven: true },
  { name: 'caller_id', kind: 'text' },
  { name: 'caller_name', kind: 'text' },
  { name: 'project_id', kind: 'text' },
  { name: 'end_user', kind: 'text' },
  { name: 'session', kind: 'text' },
  { name: 'conversation_id', kind: 'text' },
  { name: 'previous_id', kind: 'text' },
  { name: 'tags', kind: 'texts' },
  { name: 'metadata', kind: 'json' },
  { name: 'method', kind: 'text', isGiven: true },
  { name: 'route', kind: 'text', isGiven: true },
  { name: 'requested_model', kind: 'text' },
  { name: 'model', kind: 'text' },
  { name: 'version', kind: 'text' },
  { name: 'upstream', kind: 'text' },
  { name: 'attempt_count', kind: 'integer', isGiven: true },
  { name: 'attempts', kind: 'json' },
  { name: 'streamed', kind: 'flag', isGiven: true },
  { name: 'finish_reasons', kind: 'texts' },
  { name: 'prompt_tokens', kind: 'integer' },
  { name: 'cached_tokens', kind: 'integer' },
  { name: 'completion_tokens', kind: 'integer' },
  { name: 'is_usage_estimated', kind: 'flag', isGiven: true },
  { name: 'cost_usd', kind: 'usd' },
  { name: 'cache', kind: 'text' },
  { name: 'queue_ms', kind: 'real' },
  { name: 'prefill_ms', kind: 'real' },
  { name: 'decode_ms', kind: 'real' },
  { name: 'time_to_first_token_ms', kind: 'real' },
  { name: 'inter_token_ms', kind: 'real' },
  { name: 'overhead_ms', kind: 'real' },
  { name: 'total_ms', kind: 'real', isGiven: true },
  { name: 'outcome', kind: 'text', isGiven: true },
  { name: 'status', kind: 'integer', isGiven: true },
  { name: 'error_code', kind: 'text' },
  { name: 'error_message', kind: 'text' },
  { name: 'is_stored', kind: 'flag', isGiven: true },
  { name: 'deployment', kind: 'integer' },
]

/** Of `exchange_bodies`, behind the others where texts are asked for. */
export const BODY_COLUMNS: readonly ExportColumn[] = [
  { name: 'prompt', kind: 'json' },
  { name: 'answer', kind: 'texts' },
  { name: 'tool_calls', kind: 'json' },
  { name: 'parameters', kind: 'json' },
]

export type ExportValue = string | number | boolean | Date | string[] | null

/** By name of the column. */
export type ExportRow = Record<string, ExportValue> & { id: string }

export function exportColumns(withBodies: boolean): readonly ExportColumn[] {
  return withBodies ? [...EXPORT_COLUMNS, ...BODY_COLUMNS] : EXPORT_COLUMNS
}
