// Rows of text under headings, in columns.

export function asTable(headings: string[], rows: string[][]): string {
  const table = [headings, ...rows]
  const widths = headings.map((_, column) =>
    Math.max(...table.map((row) => (row[column] ?? '').length)),
  )
  return table
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

export const json = (value: unknown) => JSON.stringify(value, null, 2)

export function timeCell(time: Date | null): string {
  return time?.toISOString().slice(0, 19) ?? '-'
}
