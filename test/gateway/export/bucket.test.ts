// Buckets: what is put is there, signed as the documentation says, and a refusal says why.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import type { TestContext } from 'node:test'

import { openDestination } from '../../../gateway/export/destination.ts'
import { readExportUrl } from '../../../gateway/settings/setting-kinds.ts'
import { makeFolder } from '../../support/folder.ts'
import { ACCESS_KEY_ID, SECRET_ACCESS_KEY, signatureOf, startS3 } from '../../support/s3.ts'

const KEYS = { AWS_ACCESS_KEY_ID: ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: SECRET_ACCESS_KEY }

async function openBucket(t: TestContext, env: Record<string, string>, url = 's3://logs/a b/c+d') {
  const bucket = await openDestination(url, { ...KEYS, ...env })
  t.after(() => bucket.close())
  return bucket
}

test('the signature that the tests demand is that of the documentation', () => {
  const signature = signatureOf({
    method: 'GET',
    url: '/test.txt',
    headers: {
      host: 'examplebucket.s3.amazonaws.com',
      range: 'bytes=0-9',
      'x-amz-content-sha256': createHash('sha256').digest('hex'),
      'x-amz-date': '20130524T000000Z',
    },
    names: ['host', 'range', 'x-amz-content-sha256', 'x-amz-date'],
    at: '20130524T000000Z',
    region: 'us-east-1',
  })
  assert.equal(signature, 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41')
})

test('what is put into a bucket is there, and is gone when it is removed', async (t) => {
  const s3 = await startS3(t)
  const bucket = await openBucket(t, { AWS_ENDPOINT_URL: s3.endpoint, AWS_REGION: 'eu-central-1' })
  assert.equal(bucket.name, 's3://logs/a b/c+d')
  const path = join(await makeFolder(t), 'part')
  const content = Buffer.alloc(3_000_000, 'a line of rows\n')
  await writeFile(path, content)
  const sha256 = createHash('sha256').update(content).digest('hex')
  await bucket.put('day=1/part (0).parquet', { path, bytes: content.length, sha256 })
  await bucket.write('day=1/_manifest.json', '{"rows":"é"}')
  assert.deepEqual(s3.objects.get('/logs/a b/c+d/day=1/part (0).parquet'), content)
  assert.equal(await bucket.read('day=1/_manifest.json'), '{"rows":"é"}')
  assert.equal(await bucket.read('day=2/_manifest.json'), null)
  await bucket.remove('day=1/_manifest.json')
  await bucket.remove('day=1/_manifest.json')
  assert.equal(await bucket.read('day=1/_manifest.json'), null)
})

test('credentials for a while are sent with what makes them good', async (t) => {
  const s3 = await startS3(t)
  const env = { AWS_ENDPOINT_URL_S3: s3.endpoint, AWS_SESSION_TOKEN: 'for an hour' }
  const bucket = await openBucket(t, env)
  await bucket.write('x', 'y')
  assert.deepEqual(s3.requests, ['PUT /logs/a b/c+d/x'])
})

test('a refusal says what was refused, by whom and why, and no secret', async (t) => {
  const s3 = await startS3(t)
  const secret = 'not-the-secret-of-this-bucket'
  const env = { AWS_ENDPOINT_URL: s3.endpoint, AWS_SECRET_ACCESS_KEY: secret }
  const bucket = await openBucket(t, env)
  await assert.rejects(bucket.write('day=1/x', 'y'), (error: Error) => {
    assert.match(error.message, /s3:\/\/logs\/a b\/c\+d did not let us write day=1\/x: status 403/)
    assert.match(error.message, /SignatureDoesNotMatch: the signature/)
    assert.ok(!error.message.includes(secret))
    return true
  })
})

test('a bucket without credentials is told at once', async () => {
  await assert.rejects(
    openDestination('s3://logs', { AWS_ACCESS_KEY_ID: 'x' }),
    /needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; the second is not set/,
  )
})

test('only folders and buckets are places to export to', () => {
  const good = ['file:///var/exports', 's3://logs', 's3://my.logs/a/b']
  assert.deepEqual(good.map(readExportUrl), good)
  const bad = [
    '/var/exports',
    'file://host/x',
    's3://A_b',
    's3://key:secret@logs',
    'https://x.y',
    's3://logs?x',
  ]
  assert.deepEqual(
    bad.map(readExportUrl),
    bad.map(() => undefined),
  )
})
