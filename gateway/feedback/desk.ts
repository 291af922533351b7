// Takes feedback: finds out whether the exchange is the giver's to speak of, and has it kept.
//
// Whose an exchange is says the memory of those that ended here, else its row. Where neither has it, but the id could
// be of one that is on its way to the table, the word is taken and waits unconfirmed for the row. Where PostgreSQL is
// away, it waits in the spool. So nobody's word is lost or refused because the log is behind, and nobody speaks of what
// is not theirs.
//
// Knows: who may speak. Does not know: HTTP, SQL, signatures.

import { randomUUIDv7 } from 'node:crypto'

import { isAway } from '../db/away.ts'
import { findExchangeHead } from '../db/exchange-heads.ts'
import {
  confirmFeedback,
  deleteFeedbackOfGiver,
  findFeedback,
  listFeedback,
  upsertFeedback,
} from '../db/feedback.ts'
import { timeOfId } from '../db/partitions.ts'
import { GatewayError } from '../errors.ts'
import { exchangeNotFound, readExchangeId } from './exchange-id.ts'
import type { BodyPolicy } from '../callers/body-policy.ts'
import type { Caller } from '../callers/caller.ts'
import type { Feedback, GivenFeedback, Giver, Opinion } from '../db/feedback.ts'
import type { Page, Paged } from '../db/page.ts'
import type { Pool } from '../db/pool.ts'
import type { Privacy } from '../privacy/privacy.ts'
import type { ExchangeHead, RecentExchanges } from './recent-exchanges.ts'
import type { FeedbackSpool } from './spool.ts'
import type { Pace } from './pace.ts'
import type { FeedbackGrant, FeedbackTokens } from './tokens.ts'

export interface FeedbackDeskOptions {
  pool: Pool
  recent: Pick<RecentExchanges, 'find'>
  spool: Pick<FeedbackSpool, 'append'>
  privacy: Pick<Privacy, 'keptText' | 'keptName'>
  /** milliseconds since 1970 */
  now: () => number
}

/** What routes need of feedback. */
export interface FeedbackDeps {
  desk: FeedbackDesk
  tokens: FeedbackTokens
  pace: { callers: Pace; endUsers: Pace }
}

/** An exchange, and what is known of it. */
interface Subject {
  exchangeId: string
  head: ExchangeHead | null
}

export interface Taken {
  feedback: Feedback
  /** false: it waits for PostgreSQL */
  isWritten: boolean
}

/** A row that comes later than this has been lost, or never was: nobody waits for it any longer. */
export const MAX_LATE_MS = 24 * 60 * 60_000
/** what is waiting of one exchange, at most, in one look at it */
const CONFIRM_LIMIT = 100

export class FeedbackDesk {
  readonly #options: FeedbackDeskOptions

  constructor(options: FeedbackDeskOptions) {
    this.#options = options
  }

  /** @throws GatewayError 404 where it isn't the caller's to speak of */
  async subjectOf(caller: Caller, id: string): Promise<Subject> {
    const { recent, now } = this.#options
    const exchangeId = readExchangeId(id, now())
    const head = recent.find(exchangeId) ?? (await this.#headInTable(exchangeId))
    if (head && !maySpeakOf(caller, head)) throw exchangeNotFound(id)
    return { exchangeId, head }
  }

  /** What a token for one end user says. @param endUser absent: whom the exchange was asked for */
  async grant(caller: Caller, id: string, endUser?: string): Promise<FeedbackGrant> {
    const { exchangeId, head } = await this.subjectOf(caller, id)
    return grantOf(caller, { exchangeId, head, endUser })
  }

  /** A caller speaks, for themselves or for an end user. */
  async give(caller: Caller, id: string, opinion: Opinion, endUser?: string): Promise<Taken> {
    const subject = await this.subjectOf(caller, id)
    const isConfirmed = subject.head !== null || caller.role === 'admin'
    const giver = this.#giverOf(caller, subject.head, endUser)
    return this.#keep(subject, giver, this.#kept(opinion, caller.bodies), isConfirmed)
  }

  /** An end user speaks, by a token. */
  async giveByGrant(grant: FeedbackGrant, opinion: Opinion): Promise<Taken> {
    const { exchangeId, isConfirmed } = grant
    const { recent } = this.#options
    const head = recent.find(exchangeId) ?? (await this.#headInTable(exchangeId, isConfirmed))
    // It was signed before there was a row to hold it against.
    if (head && !isConfirmed && !isSameOwner(grant, head)) throw exchangeNotFound(exchangeId)
    const subject = { exchangeId, head }
    const giver = this.#endUserOf(grant)
    const kept = this.#kept(opinion, grant.bodies)
    return this.#keep(subject, giver, kept, isConfirmed || head !== null)
  }

  async findByGrant(grant: FeedbackGrant): Promise<Feedback> {
    const { giver } = this.#endUserOf(grant)
    const found = await findFeedback(this.#options.pool, grant.exchangeId, giver)
    if (!found) throw noFeedback(grant.exchangeId)
    return found
  }

  async withdrawByGrant(grant: FeedbackGrant): Promise<void> {
    await this.#withdraw(grant.exchangeId, this.#endUserOf(grant))
  }

  async withdraw(caller: Caller, id: string, endUser?: string): Promise<void> {
    const { exchangeId, head } = await this.subjectOf(caller, id)
    await this.#withdraw(exchangeId, this.#giverOf(caller, head, endUser))
  }

  /** What was said of an exchange of the caller's. */
  async list(caller: Caller, id: string, page: Page): Promise<Paged<Feedback>> {
    const { pool } = this.#options
    const { exchangeId, head } = await this.subjectOf(caller, id)
    if (!head) return { rows: [], hasMore: false }
    await confirmFeedback(pool, exchangeId, CONFIRM_LIMIT)
    return listFeedback(pool, { exchangeId }, page)
  }

  /** What of it may be kept: words may repeat the answer, or what was asked. */
  #kept({ comment, correction, ...opinion }: Opinion, bodies: BodyPolicy | null): Opinion {
    const kept = (text: string | null) =>
      text === null ? null : this.#options.privacy.keptText(text, bodies)
    return {
      ...opinion,
      ...(comment !== undefined && { comment: kept(comment) }),
      ...(correction !== undefined && { correction: kept(correction) }),
    }
  }

  #giverOf(caller: Caller, head: ExchangeHead | null, endUser: string | undefined): Giver {
    if (endUser !== undefined) {
      return this.#endUserOf(grantOf(caller, { exchangeId: '', head, endUser }))
    }
    const isAdmin = caller.role === 'admin'
    return {
      giver: isAdmin ? `admin:${caller.id ?? caller.name}` : `caller:${caller.id ?? caller.name}`,
      givenBy: isAdmin ? 'admin' : 'caller',
      endUser: null,
      callerName: caller.name,
      ...ownerOf(caller),
    }
  }

  #endUserOf({ bodies, callerId, callerName, projectId, ...grant }: FeedbackGrant): Giver {
    const endUser = this.#options.privacy.keptName(grant.endUser, bodies)
    return {
      giver: `user:${projectId ?? callerId ?? 'admin'}:${endUser}`,
      givenBy: 'end_user',
      endUser,
      callerId,
      callerName,
      projectId,
    }
  }

  async #withdraw(exchangeId: string, { giver }: Giver): Promise<void> {
    const wasThere = await deleteFeedbackOfGiver(this.#options.pool, exchangeId, giver)
    if (!wasThere) throw noFeedback(exchangeId)
  }

  async #keep(
    { exchangeId, head }: Subject,
    giver: Giver,
    opinion: Opinion,
    isConfirmed: boolean,
  ): Promise<Taken> {
    const { pool, spool, now } = this.#options
    const given: GivenFeedback = {
      ...giver,
      id: randomUUIDv7(),
      exchangeId,
      opinion,
      model: head?.model ?? null,
      version: head?.version ?? null,
      isConfirmed,
      at: new Date(now()).toISOString(),
    }
    try {
      const feedback = await upsertFeedback(pool, given)
      // A newer word was there before this one.
      return { feedback: feedback ?? bodyOf(given), isWritten: true }
    } catch (error) {
      if (!isAway(error)) throw error
      if (spool.append(given)) return { feedback: bodyOf(given), isWritten: false }
      throw new GatewayError(
        'database_unavailable',
        "The database can't be reached, and there is no more room for feedback to wait in. Try again later.",
        { cause: error },
      )
    }
  }

  /** @param isKnown that there is such an exchange needs no proof */
  async #headInTable(exchangeId: string, isKnown = false): Promise<ExchangeHead | null> {
    const { pool, now } = this.#options
    try {
      const head = await findExchangeHead(pool, exchangeId)
      const isLate = now() - timeOfId(exchangeId) > MAX_LATE_MS
      if (!head && isLate && !isKnown) throw exchangeNotFound(exchangeId)
      return head
    } catch (error) {
      if (isAway(error)) return null
      throw error
    }
  }
}

/** As with stored responses: a project's callers share what is theirs. */
function maySpeakOf(caller: Caller, head: ExchangeHead): boolean {
  return caller.role === 'admin' || isSameOwner(ownerOf(caller), head)
}

const ownerOf = ({ id, project }: Caller) => ({ callerId: id, projectId: project?.id ?? null })

type Owner = Pick<ExchangeHead, 'callerId' | 'projectId'>

function isSameOwner(one: Owner, other: Owner): boolean {
  if (one.projectId !== null && one.projectId === other.projectId) return true
  return one.callerId !== null && one.callerId === other.callerId
}

interface Asked extends Subject {
  endUser: string | undefined
}

function grantOf(caller: Caller, { exchangeId, head, endUser }: Asked): FeedbackGrant {
  // The exchange's owner, where that is known: a key that has moved to another project speaks of the same row.
  const { callerId, projectId } = head ?? ownerOf(caller)
  return {
    exchangeId,
    endUser: endUser ?? head?.endUser ?? '',
    callerId,
    callerName: caller.name,
    projectId,
    bodies: caller.bodies,
    isConfirmed: head !== null || caller.role === 'admin',
  }
}

/** Of what is kept and can't be read back yet. */
function bodyOf({ opinion, at, ...given }: GivenFeedback): Feedback {
  const { thumb = null, score = null, comment = null, correction = null } = opinion
  const time = new Date(at)
  return { ...given, thumb, score, comment, correction, givenAt: time, updatedAt: time }
}

function noFeedback(exchangeId: string) {
  return new GatewayError(
    'feedback_not_found',
    `You have given no feedback for the exchange '${exchangeId}'.`,
  )
}
