// Pieces of request schemas.
//
// OpenAI's clients send null for "not set", so every optional parameter takes it. Unions are kept out of the way of
// error messages: `title` says in words what a value may be, and is quoted to whoever sends something else.

import { Type } from 'typebox'

interface Bounds {
  minimum?: number
  exclusiveMinimum?: number
  maximum?: number
  description?: string
}

export const nullableNumber = (bounds: Bounds) =>
  Type.Optional(Type.Unsafe<number | null>({ type: ['number', 'null'], ...bounds }))

export const nullableInteger = (bounds: Bounds) =>
  Type.Optional(Type.Unsafe<number | null>({ type: ['integer', 'null'], ...bounds }))

export const nullableBoolean = (description?: string) =>
  Type.Optional(
    Type.Unsafe<boolean | null>({ type: ['boolean', 'null'], ...(description && { description }) }),
  )

export const nullableString = (description: string) =>
  Type.Optional(Type.Unsafe<string | null>({ type: ['string', 'null'], description }))

/** Checked by the reader, which knows better words for what is wrong with it. */
export const readLater = (description: string) => Type.Optional(Type.Unknown({ description }))
