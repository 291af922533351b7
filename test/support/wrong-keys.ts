// Whoever tries keys: many at once, with as little work of the test's own as can be.

import { connect } from 'node:net'
import { text } from 'node:stream/consumers'

const LINES = 20

/** One request behind the other on each of a few connections. @returns the statuses */
export async function sendWrongKeys(port: number, count: number): Promise<number[]> {
  const lines = Array.from({ length: LINES }, (_, line) => sendLine(port, line, count / LINES))
  return (await Promise.all(lines)).flat()
}

async function sendLine(port: number, line: number, count: number): Promise<number[]> {
  const socket = connect(port, '127.0.0.1')
  const requests = Array.from({ length: count }, (_, i) => {
    const last = i === count - 1 ? 'connection: close\r\n' : ''
    return (
      `POST /v1/completions HTTP/1.1\r\nhost: headrace\r\ncontent-length: 0\r\n${last}` +
      `authorization: Bearer hr_planted-${line}-${i}\r\n\r\n`
    )
  })
  socket.write(requests.join(''))
  const answers = await text(socket)
  return Array.from(answers.matchAll(/HTTP\/1\.1 (\d+)/g), ([, status]) => Number(status))
}
