// Where the bench keeps what it needs: everything below one folder that git ignores and `make clean` deletes.

import { join } from 'node:path'

export const ROOT = join(import.meta.dirname, '../..')
export const CACHE_DIR = join(ROOT, '.cache/bench')
/** a data folder of its own: database, models, wheels */
export const DATA_DIR = join(CACHE_DIR, 'data')
