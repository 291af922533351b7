// Makes a server listen at an address, and says clearly where it can't.
//
// Knows: sockets of the file system and TCP ports. Does not know: what is served.

import { once } from 'node:events'
import { lstat, mkdir, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import type { Server } from 'node:net'

import { formatAddress } from '../address.ts'
import type { Address } from '../address.ts'

/** Only the user that runs the server may connect to its socket. */
const SOCKET_UMASK = 0o177

/**
 * @returns where it listens: with the port that the system chose where 0 was asked for
 * @throws Error in one sentence, with its cause, where the address can't be had
 */
export async function listen(server: Server, address: Address): Promise<Address> {
  try {
    if (address.kind === 'unix') {
      await mkdir(dirname(address.path), { recursive: true })
      await removeStaleSocket(address.path)
      // The socket is made inside of listen(), before it returns; a chmod afterwards would come late.
      const umask = process.umask(SOCKET_UMASK)
      server.listen(address.path)
      process.umask(umask)
    } else {
      server.listen(address.port, address.host)
    }
    await once(server, 'listening')
  } catch (cause) {
    const reason = isCode(cause, 'EADDRINUSE')
      ? 'something else listens there'
      : cause instanceof Error
        ? cause.message
        : String(cause)
    throw new Error(`The runtime can't listen at ${formatAddress(address)}: ${reason}.`, { cause })
  }
  const bound = server.address()
  if (address.kind === 'unix' || bound === null || typeof bound === 'string') return address
  return { ...address, port: bound.port }
}

/** A host that was killed leaves its socket behind; one that nobody answers at is in the way. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => null)
  if (!found) return
  if (!found.isSocket()) throw new Error('there is a file of that name that is no socket')
  const socket = connect(path)
  try {
    await once(socket, 'connect')
  } catch (error) {
    if (!isCode(error, 'ECONNREFUSED') && !isCode(error, 'ENOENT')) throw error
    await rm(path, { force: true })
    return
  } finally {
    socket.destroy()
  }
  throw new Error('another runtime listens there')
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
