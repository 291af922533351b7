// Projects in the admin API's wire format.

import { Type } from 'typebox'
import type { Static } from 'typebox'

import { limitsToWire } from '../../callers/limits.ts'
import { Bodies, LimitsBody, Name, NullableTime, TagsBody, Time } from './fields.ts'
import type { Project } from '../../db/projects.ts'

const MAX_DAYS = 36_500
const RetentionDays = Type.Unsafe<number | null>({
  type: ['integer', 'null'],
  minimum: 1,
  maximum: MAX_DAYS,
  description:
    'Days that prompts and answers are kept, where that is shorter than the server keeps them; null: as long.',
})

export const ProjectDraft = Type.Object(
  {
    name: Name,
    limits: Type.Optional(LimitsBody),
    tags: Type.Optional(TagsBody),
    bodies_retention_days: Type.Optional(RetentionDays),
    bodies: Type.Optional(Bodies),
  },
  { additionalProperties: false },
)
export type ProjectDraft = Static<typeof ProjectDraft>

export const ProjectPatch = Type.Object(
  {
    name: Type.Optional(Name),
    limits: Type.Optional(LimitsBody),
    tags: Type.Optional(TagsBody),
    bodies_retention_days: Type.Optional(RetentionDays),
    bodies: Type.Optional(Bodies),
    archived: Type.Optional(
      Type.Boolean({ description: 'The keys of an archived project are refused.' }),
    ),
  },
  { additionalProperties: false },
)
export type ProjectPatch = Static<typeof ProjectPatch>

export const ProjectBody = Type.Object({
  object: Type.Literal('project'),
  id: Type.String(),
  name: Type.String(),
  limits: LimitsBody,
  tags: Type.Record(Type.String(), Type.String()),
  bodies_retention_days: RetentionDays,
  bodies: Bodies,
  created_at: Time,
  created_by: Type.String(),
  updated_at: Time,
  archived_at: NullableTime,
})

export function projectBody(project: Project): Static<typeof ProjectBody> {
  return {
    object: 'project',
    id: project.id,
    name: project.name,
    limits: limitsToWire(project.limits),
    tags: project.tags,
    bodies_retention_days: project.bodiesRetentionDays,
    bodies: project.bodies,
    created_at: project.createdAt.toISOString(),
    created_by: project.createdBy,
    updated_at: project.updatedAt.toISOString(),
    archived_at: project.archivedAt?.toISOString() ?? null,
  }
}
