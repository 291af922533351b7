// Images, sounds and documents within a text, which nobody can look into for what they show: all that is kept is that
// there was one.

import type { Finding } from './finding.ts'

const DATA_URL =
  /data:([a-z]+)\/[\w.+-]{1,100}(?:;[\w.+-]{1,64}=[^;,\s]{0,100}){0,4};base64,[\w+/=%-]*/giy
const MARK = ';base64,'
/** of a file's content beside its media type; shorter ones are words and ids */
const MIN_CONTENT = 256
const CONTENT = /^[A-Za-z0-9+/_\r\n-]+={0,2}\s*$/
const KINDS: Record<string, string> = { image: 'IMAGE', audio: 'AUDIO', video: 'VIDEO' }

/** For a text that is nothing but a file; null where it isn't. */
export function fileInstead(text: string): string | null {
  if (text.length < MIN_CONTENT || text.startsWith('data:')) return null
  // Words have spaces, which a look at the beginning finds.
  if (/[^A-Za-z0-9+/_\r\n=-]/.test(text.slice(0, 64))) return null
  return CONTENT.test(text) ? '[FILE]' : null
}

export function findFiles(text: string, found: Finding[]): void {
  for (let mark = text.indexOf(MARK); mark >= 0; mark = text.indexOf(MARK, mark + MARK.length)) {
    const start = text.lastIndexOf('data:', mark)
    if (start < 0 || mark - start > 600) continue
    DATA_URL.lastIndex = start
    const match = DATA_URL.exec(text)
    if (!match) continue
    const kind = KINDS[match[1]!.toLowerCase()] ?? 'FILE'
    found.push({ start, end: start + match[0].length, kind })
  }
}
