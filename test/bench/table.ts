// Tables that read well as they are printed, and are Markdown too.

/** @param rows cells as text; cells that are numbers stand to the right */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(3, title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  )
  const isNumeric = head.map((_, column) => rows.every((row) => /^[-\d.–]/.test(row[column] ?? '')))
  const line = (cells: readonly string[]) => {
    const padded = widths.map((width, column) => {
      const cell = cells[column] ?? ''
      return isNumeric[column] ? cell.padStart(width) : cell.padEnd(width)
    })
    return `| ${padded.join(' | ')} |`
  }
  const rule = widths.map((width, column) => {
    const dashes = '-'.repeat(width - 1)
    return isNumeric[column] ? `${dashes}:` : `${dashes}-`
  })
  return [line(head), `| ${rule.join(' | ')} |`, ...rows.map(line)].join('\n')
}

/** Three digits that matter, no more than tell machines apart. */
export function figure(value: number): string {
  if (value >= 100) return value.toFixed(0)
  return value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

export const megabytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(0)
