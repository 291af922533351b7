// `headrace models import` of decoders that others exported, up to an engine that answers.

import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { modelsCommand } from '../../cli/models.ts'
import { loadConfig } from '../../gateway/settings/config.ts'
import type { Manifest } from '../../models/manifest.ts'
import { EngineProcess } from '../runtime/engine/engine-process.ts'
import { writeCompanions, writeExportedDecoder } from '../support/exported-decoder.ts'
import { makeFolder } from '../support/folder.ts'
import { randomCheckpoint, TINY } from '../support/random-checkpoint.ts'

for (const attention of ['gqa', 'growing'] as const) {
  test(`an export whose attention is ${attention} is imported and answers`, async (t) => {
    const root = await makeFolder(t, 'exports')
    await mkdir(join(root, 'tiny/onnx'), { recursive: true })
    const checkpoint = randomCheckpoint(TINY)
    await writeExportedDecoder(join(root, 'tiny/onnx'), checkpoint, { attention })
    await writeCompanions(join(root, 'tiny'), checkpoint, 'transformers')
    let [code, shown, problems] = [0, '', '']
    const run = async (...args: string[]) => {
      shown = ''
      const models = modelsCommand({
        dataDir: join(root, 'data'),
        precision: 'int8',
        threads: 1,
        env: {},
        loadSettings: () => loadConfig({}),
        stdout: { write: (text) => (shown += text) },
        stderr: { write: (text) => (problems += text) },
        setExitCode: (given) => (code = given),
      })
      await models.parseAsync(args, { from: 'user' })
      assert.equal(code, 0, problems)
      return shown
    }
    await run('import', join(root, 'tiny'))
    assert.match(await run('import', join(root, 'tiny/onnx/model.onnx')), /is there already/)
    assert.match(await run('list'), /\ntiny@1 +generate +exported /)
    assert.match(await run('verify', 'tiny'), /tiny@1 is as its manifest says/)
    const { graph } = JSON.parse(await run('show', 'tiny', '--json')) as Manifest
    assert.equal(graph.layout, attention)

    const engine = new EngineProcess(t, join(root, 'data/models/tiny/1'))
    await engine.ready()
    const asked = { maxTokens: 6, ignoreEnd: true, sampling: { temperature: 0 } }
    const prompt = { kind: 'text' as const, text: 'hello world' }
    for (const id of ['a', 'b', 'c']) engine.generate({ id, prompt, ...asked })
    const answers = await Promise.all(['a', 'b', 'c'].map((id) => engine.answer(id)))
    assert.equal(new Set(answers.map(({ text }) => text)).size, 1)
    assert(answers[0]!.last.type === 'done', JSON.stringify(answers[0]!.last))
    assert.equal(answers[0]!.last.usage.completionTokens, 6)
  })
}
