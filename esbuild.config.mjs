import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, cp, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { driverFile, patchDriver } from './src/store/driver-patch.mjs'

/*
 * Makes dist/: everything the program needs, to be copied anywhere.
 *
 *   wafermon.js         looks at the version of Node.js, then loads main (no static import: those
 *                       are hoisted, and an old Node.js would die of them without a message)
 *   archive-worker.js   what the local API runs in a thread, to read the archive
 *   chunks/, assets/    a chunk per role, loaded when the role is chosen; the wasm, the .node
 *   sql/                what `migrate` and the operators' commands read
 *   sdk/                the client library, as ESM and as CommonJS, with declarations
 *   LICENSE, THIRD-PARTY.txt  ours, and those of the packages inside
 *
 * One platform per build: WAFERMON_TARGET, for example linux-arm64 or linuxmusl-x64, else this
 * machine's. Another place than dist/: WAFERMON_DIST.
 */

process.chdir(fileURLToPath(new URL('.', import.meta.url)))
const startedAt = performance.now()
const target = process.env.WAFERMON_TARGET ?? `linux-${process.arch}`
const { version } = JSON.parse(await readFile('package.json', 'utf8'))

const sdk = 'src/sdk/index.ts'

const dist = process.env.WAFERMON_DIST ?? 'dist'
/** Folders of the packages that are in the bundles. */
const packages = new Set()
// Made aside and put in place whole: a build that fails leaves the last good one where it is.
const out = dist === 'dist' ? `.cache/dist-${process.pid}` : `${dist}.${process.pid}`
try {
  await Promise.all([buildProgram(), buildSdk(), cp('sql', `${out}/sql`, { recursive: true })])
  await chmod(`${out}/wafermon.js`, 0o755)
  await Promise.all([cp('LICENSE', `${out}/LICENSE`), writeNotices()])
  // Without it a copy of dist would be read as CommonJS first, then as ESM, with a warning.
  await writeFile(
    `${out}/package.json`,
    `${JSON.stringify({ name: 'wafermon', version, type: 'module' })}\n`,
  )
  await rm(dist, { recursive: true, force: true })
  await rename(out, dist)
} catch (error) {
  await rm(out, { recursive: true, force: true })
  // esbuild and tsc have printed what is wrong, with the place.
  console.error(`dist: not built: ${error.message.split('\n')[0]}`)
  process.exit(1)
}

const { files, bytes } = await sizeOf(dist)
const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
console.log(`dist: ${files} files, ${(bytes / 1e6).toFixed(1)} MB, for ${target}, in ${seconds} s`)

/** Exactly one prebuilt binary of better-sqlite3 goes beside the bundle: the target's. */
function oneSqlite() {
  return {
    name: 'one-sqlite',
    setup(b) {
      b.onResolve({ filter: /^better-sqlite3$/ }, ({ kind, resolveDir }) =>
        b.resolve(`better-sqlite3/${target}`, { kind, resolveDir }),
      )
    },
  }
}

function patchedDriver() {
  return {
    name: 'patched-driver',
    setup(b) {
      b.onLoad({ filter: driverFile }, async ({ path }) => ({
        contents: patchDriver(path, await readFile(path, 'utf8')),
      }))
    },
  }
}

async function buildProgram() {
  await write({
    entryPoints: { wafermon: 'src/wafermon.ts', 'archive-worker': 'src/archive/history/worker.ts' },
    outdir: 'dist',
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'esm',
    splitting: true,
    // Names stay as they are, for stacks and for the types of errors in the log. Minified ones would
    // need keepNames, which wraps every closure that a request makes.
    minifyWhitespace: true,
    minifySyntax: true,
    sourcemap: 'linked',
    legalComments: 'linked',
    logLevel: 'warning',
    jsx: 'automatic',
    jsxImportSource: 'hono/jsx',
    chunkNames: 'chunks/[name]-[hash]',
    assetNames: 'assets/[name]-[hash]',
    loader: { '.wasm': 'file', '.node': 'copy', '.css': 'text', '.svg': 'text' },
    define: { __WAFERMON_VERSION__: JSON.stringify(version) },
    // CommonJS packages inside an ESM bundle call require().
    banner: {
      js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);",
    },
    plugins: [oneSqlite(), patchedDriver()],
  })
}

/**
 * Builds as if into dist, and puts the files aside: source maps point right, and the names, which
 * hash the content, are the same wherever the files go.
 */
async function write(options) {
  const { outputFiles, metafile } = await build({ ...options, write: false, metafile: true })
  for (const input of Object.keys(metafile.inputs)) {
    const [folder] = /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(input) ?? []
    if (folder) packages.add(folder)
  }
  for (const { path, contents } of outputFiles) {
    const to = join(out, relative('dist', path))
    await mkdir(dirname(to), { recursive: true })
    await writeFile(to, contents)
  }
}

/** The licences of what is bundled: they ask to go where it goes. */
async function writeNotices() {
  const notices = [...packages].sort().map(async (folder) => {
    const { name, version, license } = JSON.parse(await readFile(`${folder}/package.json`, 'utf8'))
    const names = (await readdir(folder)).filter((file) => /^(licen[cs]e|notice)/i.test(file))
    const texts = names.sort().map((file) => readFile(join(folder, file), 'utf8'))
    return `${name} ${version} (${license})\n\n${(await Promise.all(texts)).join('\n')}`
  })
  const line = `\n${'-'.repeat(78)}\n\n`
  await writeFile(`${out}/THIRD-PARTY.txt`, `${(await Promise.all(notices)).join(line)}\n`)
}

async function buildSdk() {
  const shared = {
    bundle: true,
    platform: 'node',
    target: 'node20',
    minify: true,
    sourcemap: 'linked',
    legalComments: 'none',
    logLevel: 'warning',
    define: { __WAFERMON_VERSION__: JSON.stringify(version) },
  }
  await Promise.all([
    write({ ...shared, entryPoints: [sdk], format: 'esm', outfile: 'dist/sdk/index.js' }),
    describeSdk(),
    write({ ...shared, stdin: await commonSdk(), format: 'cjs', outfile: 'dist/sdk/index.cjs' }),
    declareSdk(),
  ])
}

/**
 * So that `npm pack ./dist/sdk` makes a package of the SDK alone, without the dependencies of the
 * server, which is imported by the same name, `wafermon/sdk`.
 */
async function describeSdk() {
  const main = JSON.parse(await readFile('package.json', 'utf8'))
  const near = (path) => path.replace('./dist/sdk/', './')
  const ways = Object.entries(main.exports['./sdk']).map(([way, files]) => [
    way,
    Object.fromEntries(Object.entries(files).map(([what, path]) => [what, near(path)])),
  ])
  const own = {
    ...{ name: 'wafermon', version, description: 'The client library of wafermon.' },
    ...{ license: main.license, type: 'module', engines: { node: '>=20' } },
    exports: { './sdk': Object.fromEntries(ways), './package.json': './package.json' },
  }
  await mkdir(`${out}/sdk`, { recursive: true })
  await writeFile(`${out}/sdk/package.json`, `${JSON.stringify(own, null, 2)}\n`)
  await cp('LICENSE', `${out}/sdk/LICENSE`)
}

/** Exports set directly, without the helpers that make exports live: they are half a kilobyte. */
async function commonSdk() {
  const names = (await valuesOf(sdk)).join(', ')
  const contents = `import { ${names} } from './index.ts'\nexport = { ${names} }`
  return { contents, resolveDir: resolve('src/sdk'), sourcefile: 'index.cjs.ts', loader: 'ts' }
}

/** What a module exports besides types. */
async function valuesOf(entry) {
  const options = { bundle: true, platform: 'node', format: 'esm', write: false, metafile: true }
  const { metafile } = await build({ ...options, entryPoints: [entry], outdir: 'dist' })
  return Object.values(metafile.outputs)[0].exports
}

/** Declarations, once for importers and once for `require`. */
async function declareSdk() {
  const tsc = createRequire(import.meta.url).resolve('typescript/package.json')
  const args = [join(tsc, '../bin/tsc'), '-p', 'tsconfig.sdk.json', '--outDir', `${out}/sdk`]
  const child = spawn(process.execPath, args, { stdio: 'inherit' })
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`tsc -p tsconfig.sdk.json ended with ${code}`)
}

async function sizeOf(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const plain = entries.filter((entry) => entry.isFile())
  const sizes = await Promise.all(plain.map((file) => stat(join(file.parentPath, file.name))))
  return { files: plain.length, bytes: sizes.reduce((sum, { size }) => sum + size, 0) }
}
