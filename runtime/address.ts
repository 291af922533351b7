// Where a runtime listens and is found: `unix:/path/of.sock` or `http://host:port`.
//
// Knows: how an address is written. Does not know: sockets.

export type Address = { kind: 'unix'; path: string } | { kind: 'tcp'; host: string; port: number }

/** sizeof(sun_path) less the closing zero byte; macOS's is the smaller of the two that are served */
const SOCKET_PATH_MAX_BYTES = process.platform === 'darwin' ? 103 : 107

/** @throws Error saying what is allowed, where `text` is no address */
export function parseAddress(text: string): Address {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length)
    if (!path.startsWith('/')) throw unusable(text, 'the path of a socket has to be absolute')
    const bytes = Buffer.byteLength(path)
    if (bytes <= SOCKET_PATH_MAX_BYTES) return { kind: 'unix', path }
    const lengths = `the path is ${bytes} bytes long and the system allows ${SOCKET_PATH_MAX_BYTES}`
    throw unusable(text, lengths)
  }
  const url = URL.parse(text)
  if (!url || url.protocol !== 'http:') throw unusable(text, 'it is neither of these')
  if (url.pathname !== '/' || url.search || url.hash || url.username || url.password) {
    throw unusable(text, 'host and port are all that it may have')
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  return { kind: 'tcp', host, port: url.port === '' ? 80 : Number(url.port) }
}

export function formatAddress(address: Address): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  return `http://${host}:${address.port}`
}

/** Nobody but this machine's own processes can reach it. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

function unusable(text: string, why: string): Error {
  return new Error(
    `'${text}' is no address of a runtime: ${why}. Allowed are unix:/path/of.sock and http://host:port.`,
  )
}
