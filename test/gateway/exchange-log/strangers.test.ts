import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Strangers } from '../../../gateway/exchange-log/strangers.ts'
import { recordLog } from '../../support/logger.ts'

test('a hundred rows a minute, and a line now and then for those that leave none', () => {
  const { logger, lines } = recordLog()
  let now = 0
  let dropped = 0
  const strangers = new Strangers({ logger, onDropped: () => dropped++, now: () => now })
  const come = (count: number) => {
    let rows = 0
    for (let i = 0; i < count; i++) if (strangers.hasRoom()) rows++
    return rows
  }
  assert.equal(come(100), 100)
  assert.equal(lines.length, 0)
  assert.equal(come(50), 0)
  assert.deepEqual(
    lines.map(({ level, context }) => [level, context]),
    [['warn', { requests: 1, rowsPerMinute: 100 }]],
  )
  now = 29_999
  come(1)
  assert.equal(lines.length, 1)
  now = 30_000
  come(1)
  assert.deepEqual(lines[1]?.context, { requests: 51, rowsPerMinute: 100 })
  now = 60_000
  assert.equal(come(101), 100)
  assert.equal(dropped, 53)
})
