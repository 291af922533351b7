// A conversation as a thread: the exchanges that led to one, and those that go on from it.
//
// Exchanges of a conversation share its id. Which goes on from which is said by `previous_id` (Responses), or by digests:
// the digest of a conversation up to and with an answer is the previous digest of the exchange that sends it anew.
// Conversations that begin alike have the same id, if one caller has them; digests tell them apart.
//
// Knows: SQL, links. Does not know: how digests are made, who may read it.

import { lowestIdAt, timeOfId } from './partitions.ts'
import type { ExchangeRow } from './exchange-rows.ts'
import type { Queryable } from './pool.ts'

/** Before and after an exchange; longer conversations, or alike ones, are cut. */
const MAX_EACH_WAY = 500
/** Conversations that go on after a month are others. */
const REACH_MS = 31 * 24 * 60 * 60_000

interface Link {
  id: string
  previousId: string | null
  digest: string | null
  previousDigest: string | null
}

/** @returns ids, oldest first, the exchange's own among them */
export async function findThread(
  db: Queryable,
  row: ExchangeRow,
): Promise<{ ids: string[]; isCut: boolean }> {
  const { links, isCut } = await readLinks(db, row)
  const self = { ...row }
  const all = [...links.filter(({ id }) => id !== row.id), self].sort((a, b) =>
    a.id < b.id ? -1 : 1,
  )
  const before = new Map(all.map((link) => [link.id, predecessorOf(link, all)]))

  const ids = new Set<string>()
  let at: string | null = row.id
  while (at !== null && !ids.has(at)) {
    ids.add(at)
    at = before.get(at) ?? null
  }
  // In order of time a successor comes after what it goes on from. Siblings of what came before are other threads.
  const following = new Set([row.id])
  for (const { id } of all) {
    const previous = before.get(id)
    if (previous && following.has(previous)) following.add(id)
  }
  for (const id of following) ids.add(id)
  return { ids: [...ids].sort(), isCut }
}

/** Of several that ended alike the newest before it. */
function predecessorOf(link: Link, all: readonly Link[]): string | null {
  if (link.previousId !== null) return link.previousId
  if (link.previousDigest === null) return null
  const found = all.findLast(({ id, digest }) => digest === link.previousDigest && id < link.id)
  return found?.id ?? null
}

async function readLinks(db: Queryable, row: ExchangeRow) {
  const { id, conversationId, callerId, projectId } = row
  if (conversationId === null) return { links: [], isCut: false }
  const time = timeOfId(id)
  const read = async (where: string, order: string) => {
    const { rows } = await db.query<Link>(
      `SELECT id, previous_id AS "previousId", encode(digest, 'hex') AS digest,
              encode(previous_digest, 'hex') AS "previousDigest"
       FROM exchanges
       WHERE (conversation_id, id) > ($1::uuid, $2::uuid) AND (conversation_id, id) < ($1::uuid, $3::uuid)
         AND conversation_id IS NOT NULL AND ${where}
         AND caller_id IS NOT DISTINCT FROM $4::uuid AND project_id IS NOT DISTINCT FROM $5::uuid
       ORDER BY conversation_id ${order}, id ${order} LIMIT ${MAX_EACH_WAY + 1}`,
      order === 'DESC'
        ? [conversationId, lowestIdAt(time - REACH_MS), id, callerId, projectId]
        : [conversationId, id, lowestIdAt(time + REACH_MS), callerId, projectId],
    )
    return rows
  }
  const earlier = await read(`id < $3::uuid AND id >= '${lowestIdAt(time - REACH_MS)}'`, 'DESC')
  const later = await read(`id > $2::uuid AND id < '${lowestIdAt(time + REACH_MS)}'`, 'ASC')
  return {
    links: [...earlier.slice(0, MAX_EACH_WAY), ...later.slice(0, MAX_EACH_WAY)],
    isCut: earlier.length > MAX_EACH_WAY || later.length > MAX_EACH_WAY,
  }
}
