// Everything that a model card is made of, looked up.
//
// Knows: where it is. Does not know: how a card looks.

import { listAttachments } from '../db/catalog-attachments.ts'
import { listLatestEvaluations } from '../db/catalog-evaluations.ts'
import { listNotes } from '../db/catalog-notes.ts'
import { findNewestLocal, findVersion, listVersions } from '../db/catalog-versions.ts'
import { findLiveDeployment } from '../db/deployments.ts'
import { measureLive } from './live-metrics.ts'
import { getCatalogModel } from './models.ts'
import { getVersion } from './versions.ts'
import type { Attachment } from '../db/catalog-attachments.ts'
import type { Evaluation } from '../db/catalog-evaluations.ts'
import type { CatalogModel } from '../db/catalog-models.ts'
import type { Note } from '../db/catalog-notes.ts'
import type { CatalogVersion } from '../db/catalog-versions.ts'
import type { Pool } from '../db/pool.ts'
import type { Guards, Standing } from './guards.ts'
import type { LiveMetrics } from './live-metrics.ts'

export interface CardData {
  model: CatalogModel
  /** the one that the card is of; null: the model has none */
  version: CatalogVersion | null
  /** what it is compared with: the one before it; null where it is the first */
  previous: CatalogVersion | null
  /** newest first, as many as a card has room for */
  versions: CatalogVersion[]
  /** there are older ones */
  hasMoreVersions: boolean
  /** what each of the versions is to the model's traffic, by id; of the others nothing */
  standings: Map<string, Standing>
  /** of the version and the one before it, the latest of each metric */
  evaluations: Evaluation[]
  metrics: LiveMetrics | null
  /** of the model and of the version, newest first */
  notes: Note[]
  hasMoreNotes: boolean
  attachments: Attachment[]
  at: Date
}

export interface CardDeps {
  pool: Pool
  liveIn: Guards['liveIn']
}

const MAX_VERSIONS = 20
const MAX_NOTES = 30
export const METRICS_DAYS = 30
const DAY_MS = 24 * 60 * 60_000

/**
 * @param number of a version; undefined: the live one that gets most, else the newest that is ready, else the newest
 * @throws GatewayError `model_not_in_catalog`, `version_not_found`
 */
export async function collectCard(
  { pool, liveIn }: CardDeps,
  name: string,
  number: number | undefined,
  at: Date,
): Promise<CardData> {
  const model = await getCatalogModel(pool, name)
  const states = ['draft', 'ready', 'archived'] as const
  const listed = await listVersions(pool, name, { states, before: null, limit: MAX_VERSIONS })
  const version = await chosenVersion(pool, name, number, listed.rows)
  const standings = new Map<string, Standing>()
  for (const id of new Set([version, ...listed.rows].flatMap((each) => each?.id ?? []))) {
    const standing = await liveIn(id, pool)
    if (standing) standings.set(id, standing)
  }
  const before = { states: ['ready', 'archived'], before: version?.number ?? 0, limit: 1 } as const
  const [previous = null] = (await listVersions(pool, name, before)).rows
  const compared = [version, previous].filter((each) => each !== null)
  const notes = await notesOf(pool, name, version)
  return {
    model,
    version,
    previous,
    versions: listed.rows,
    hasMoreVersions: listed.hasMore,
    standings,
    evaluations: await listLatestEvaluations(
      pool,
      compared.map(({ id }) => id),
    ),
    metrics: version && (await measureLive(pool, version.id, lastDays(at))),
    ...notes,
    at,
  }
}

/** A version on trial is not what the model is, and the live one may be older than what is listed. */
async function chosenVersion(
  pool: Pool,
  model: string,
  number: number | undefined,
  newest: readonly CatalogVersion[],
): Promise<CatalogVersion | null> {
  if (number !== undefined) return getVersion(pool, `${model}@${number}`)
  const live = await findLiveDeployment(pool, model)
  const own = live?.state.targets.filter(({ version }) => version.startsWith(`${model}@`)) ?? []
  const [first] = own.toSorted((a, b) => b.weight - a.weight)
  const id = first?.version ?? (live ? null : await findNewestLocal(pool, model))
  const version = id === null ? null : await findVersion(pool, id)
  return version ?? newest.find(({ state }) => state === 'ready') ?? newest[0] ?? null
}

async function notesOf(pool: Pool, model: string, version: CatalogVersion | null) {
  const page = { after: null, limit: MAX_NOTES }
  const ofModel = await listNotes(pool, { model, version: null }, page)
  const ofVersion = version
    ? await listNotes(pool, { model, version: version.id }, page)
    : { rows: [], hasMore: false }
  const all = [...ofModel.rows, ...ofVersion.rows].sort((a, b) => (a.id < b.id ? 1 : -1))
  const notes = all.slice(0, MAX_NOTES)
  const attachments = await listAttachments(
    pool,
    notes.map(({ id }) => id),
  )
  const hasMoreNotes = ofModel.hasMore || ofVersion.hasMore || all.length > MAX_NOTES
  return { notes, hasMoreNotes, attachments }
}

/** What is told of how a version does in service. */
export const lastDays = (to: Date) => ({ from: new Date(to.getTime() - METRICS_DAYS * DAY_MS), to })
