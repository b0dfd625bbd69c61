import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { hashFiles } from '../../src/sinks/entry-files.ts'
import { freshFolder } from '../support/processes.ts'

test('the files that an entry names are known by their content', () => {
  const dir = freshFolder()
  const [ca, path] = ['ca.pem', 'own.mjs'].map((name) => join(dir, name))
  const entries = [
    { type: 'local_api', config: { base_url: 'http://h', ca } },
    { type: 'elk', config: { elasticsearch_url: 'http://h', ca, key: join(dir, 'none') } },
    { type: 'otlp', config: { endpoint: 'http://h', ca } },
    { type: 'aws_xray', config: { aws_region: 'eu-central-1', ca } },
    { type: 'module', config: { path } },
    // A key of items is not a file.
    { type: 'zabbix', config: { zabbix_server: 'h', host: 'h', key: 'wafer[{app}]' } },
    { type: 'csv', config: { output_dir: dir } },
  ]
  const hashAll = () => entries.map((entry) => hashFiles(entry))
  writeFileSync(ca!, 'a')
  writeFileSync(path!, 'a')
  const before = hashAll()
  assert.deepEqual(
    before.map((one) => Object.keys(one)),
    [['ca'], ['ca', 'key'], ['ca'], ['ca'], ['path'], [], []],
  )
  assert.equal(before[1]?.key, 'ENOENT')
  assert.deepEqual(hashAll(), before)
  for (const file of [ca!, path!]) writeFileSync(file, 'b')
  const after = hashAll()
  for (const i of [0, 1, 2, 3]) assert.notEqual(after[i]?.ca, before[i]?.ca)
  assert.notEqual(after[4]?.path, before[4]?.path)
})
