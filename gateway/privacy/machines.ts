// Addresses of machines: IPv4 and IPv6.
//
// A version of four numbers looks like an IPv4 address; the word before it tells. Nobody's addresses (0.0.0.0, loopback,
// netmasks) stay.

import { isIPv6 } from 'node:net'

import { add } from './clusters.ts'
import { BEGIN } from './finding.ts'
import type { Cluster } from './clusters.ts'
import type { Finding } from './finding.ts'

const BYTE = String.raw`(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)`
const IPV4 = new RegExp(
  String.raw`${BEGIN}(?<![.-])${BYTE}(?:\.${BYTE}){3}(?![A-Za-z0-9_]|[.-]\d)`,
  'gu',
)
const IPV6 = new RegExp(
  String.raw`${BEGIN}(?<![:.])[0-9a-f]{0,4}:[0-9a-f:.]{2,44}(?![A-Za-z0-9_:])`,
  'gi',
)
const VERSION = /(?:\bv|version|release|ver|build|upgraded? to|==|>=|<=|~=|@)[\s.:=]{0,3}$/
/** what every address has: three dots between digits, two colons */
const IPV4_HINT = /\d\.\d{1,3}\.\d{1,3}\.\d/
const IPV6_HINT = /[\da-fA-F:]:[\da-fA-F]{0,4}:/
const NOBODYS = /^(?:0\.|127\.|255\.)/

export function findMachines(cluster: Cluster, found: Finding[]): void {
  const { text } = cluster
  if (IPV4_HINT.test(text)) {
    for (const { index, 0: address } of text.matchAll(IPV4)) {
      if (NOBODYS.test(address) || VERSION.test(cluster.before(index))) continue
      add(found, cluster, index, address.length, 'IP', address)
    }
  }
  if (!IPV6_HINT.test(text)) return
  for (const { index, 0: matched } of text.matchAll(IPV6)) {
    const address = matched.replace(/\.+$/, '')
    if (!isIPv6(address) || !isTelling(address)) continue
    add(found, cluster, index, address.length, 'IP', address.toLowerCase())
  }
}

/** `a::b1` is a name in a program, `::1` everybody's. */
function isTelling(address: string): boolean {
  const groups = address.split(':').filter((group) => group !== '')
  return groups.length >= 4 || groups.filter((group) => /\d/.test(group)).length >= 2
}
