import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

test('no link of the docs leads nowhere', () => {
  const root = new URL('..', import.meta.url).pathname
  const docs = readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)
  const files = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...docs].filter((f) =>
    f.endsWith('.md'),
  )
  const dead = files.flatMap((file) =>
    [...readFileSync(join(root, file), 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)/g)]
      .map(([, target]) => target!)
      .filter((target) => !existsSync(join(root, dirname(file), target)))
      .map((target) => `${file}: ${target}`),
  )
  assert.deepEqual(dead, [])
})
