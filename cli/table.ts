// Rows of text under headings, in columns.
//
// What people and models wrote is shown as it is, but for control characters: a terminal would obey them.

export function asTable(headings: string[], rows: string[][]): string {
  const table = [headings, ...rows].map((row) => row.map(shown))
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

const shown = (cell: string) => cell.replaceAll(/\p{Cc}/gu, '\u{fffd}')

export const json = (value: unknown) => JSON.stringify(value, null, 2)

export function timeCell(time: Date | null): string {
  return time?.toISOString().slice(0, 19) ?? '-'
}
