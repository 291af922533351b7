// Version folders that can't be used, as metrics, read when scraped.

import type { Registry } from 'prom-client'

import { exposeFigures } from './figures.ts'
import type { Figures } from './figures.ts'

export interface CatalogSource {
  readonly damaged: number
  readonly missing: number
}

const FIGURES: Figures<CatalogSource> = {
  prefix: 'headrace_catalog_versions_',
  gauges: [
    [
      'damaged',
      "Versions of this gateway's library whose folder can't be used as it is; GET /admin/catalog/models/…/versions says why.",
      ({ damaged }) => damaged,
    ],
    [
      'missing',
      "Versions of this gateway's library whose folder is gone. Put it back, or delete the version.",
      ({ missing }) => missing,
    ],
  ],
  counters: [],
}

export function exposeCatalog(registers: Registry[], source: CatalogSource): void {
  exposeFigures(registers, source, FIGURES)
}
