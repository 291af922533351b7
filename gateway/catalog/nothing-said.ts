// Models and versions of which nothing has been said yet.

import type { CatalogModel } from '../db/catalog-models.ts'
import type { VersionFacts, VersionOrigin } from '../db/catalog-versions.ts'

export const NOTHING_SAID: Omit<CatalogModel, 'name' | 'createdAt' | 'createdBy' | 'updatedAt'> = {
  task: null,
  owner: null,
  description: null,
  intendedUse: null,
  userGuide: null,
  knownIssues: null,
  licence: null,
  tags: {},
  price: null,
  limits: {},
}

export const NO_FACTS: VersionFacts = {
  baseModel: null,
  trainingData: null,
  hyperparameters: null,
  trainingRun: null,
  changeNote: null,
  createdBy: null,
}

export const NO_ORIGIN: VersionOrigin = {
  digest: null,
  source: null,
  sourceRevision: null,
  family: null,
  precision: null,
  parameters: null,
  contextLength: null,
  bytes: null,
  licence: null,
}
