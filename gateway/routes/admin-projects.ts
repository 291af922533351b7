// /admin/projects: make, list, read, change and archive projects.
//
// Admins may all of it; developers may read their own project.

import { Type } from 'typebox'

import { changeProject, createProject, getVisibleProject } from '../administration/projects.ts'
import { listProjects } from '../db/projects.ts'
import { flag, listBody, listOf, PAGE_QUERY, readPage } from '../dialects/admin/page.ts'
import { ProjectBody, projectBody, ProjectDraft, ProjectPatch } from '../dialects/admin/project.ts'
import { ErrorBody } from '../dialects/openai/error.ts'
import { actorOf, callerOf, requireRole } from '../plugins/roles.ts'
import type { Pool } from '../db/pool.ts'
import type { App } from '../request.ts'

export interface AdminProjectsDeps {
  pool: Pool
  /** who may call what has changed: what is remembered of it is asked for again */
  onChange: () => void
}

const tags = ['projects']
const security = [{ key: [] }]
const params = Type.Object({
  project: Type.String({ description: 'Its id, or the name of one that is not archived.' }),
})
/** in nobody's tables: what a developer without a project may see */
const NONE = '00000000-0000-0000-0000-000000000000'

export function adminProjectRoutes(app: App, { pool, onChange }: AdminProjectsDeps) {
  const admin = requireRole('admin')
  const developer = requireRole('developer')

  app.post(
    '/admin/projects',
    {
      onRequest: admin,
      schema: {
        operationId: 'createProject',
        summary: 'Make a project',
        tags,
        security,
        body: ProjectDraft,
        response: { 201: ProjectBody, default: ErrorBody },
      },
    },
    async (request, reply) => {
      const project = await createProject(pool, actorOf(request), request.body)
      onChange()
      return reply.code(201).send(projectBody(project))
    },
  )

  app.get(
    '/admin/projects',
    {
      onRequest: developer,
      schema: {
        operationId: 'listProjects',
        summary: 'List projects, newest first',
        tags,
        security,
        querystring: Type.Object(
          { ...PAGE_QUERY, archived: flag('Archived ones too.') },
          { additionalProperties: false },
        ),
        response: { 200: listOf(ProjectBody), default: ErrorBody },
      },
    },
    async (request) => {
      const { role, project } = callerOf(request)
      const filter = {
        only: role === 'admin' ? undefined : (project?.id ?? NONE),
        withArchived: request.query.archived === 'true',
      }
      return listBody(await listProjects(pool, filter, readPage(request.query)), projectBody)
    },
  )

  app.get(
    '/admin/projects/:project',
    {
      onRequest: developer,
      schema: {
        operationId: 'retrieveProject',
        summary: 'Tell of one project',
        tags,
        security,
        params,
        response: { 200: ProjectBody, default: ErrorBody },
      },
    },
    async (request) => {
      const { project: idOrName } = request.params
      const project = await getVisibleProject(pool, callerOf(request), idOrName)
      return projectBody(project)
    },
  )

  app.patch(
    '/admin/projects/:project',
    {
      onRequest: admin,
      schema: {
        operationId: 'updateProject',
        summary: 'Change a project; what is not named stays as it is',
        tags,
        security,
        params,
        body: ProjectPatch,
        response: { 200: ProjectBody, default: ErrorBody },
      },
    },
    async (request) => {
      const { project: idOrName } = request.params
      const project = await changeProject(pool, actorOf(request), idOrName, request.body)
      onChange()
      return projectBody(project)
    },
  )

  app.delete(
    '/admin/projects/:project',
    {
      onRequest: admin,
      schema: {
        operationId: 'archiveProject',
        summary: 'Archive a project: its keys are refused until it is restored',
        tags,
        security,
        params,
        response: { 200: ProjectBody, default: ErrorBody },
      },
    },
    async (request) => {
      const { project: idOrName } = request.params
      const project = await changeProject(pool, actorOf(request), idOrName, { archived: true })
      onChange()
      return projectBody(project)
    },
  )
}
