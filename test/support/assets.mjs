import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import { driverFile, patchDriver } from '../../src/store/driver-patch.mjs'

/*
 * Lets tests import what the build otherwise takes care of, by the end of the name: min.js, css
 * and svg as text, wasm as its place, as esbuild's loaders do; and the database driver patched.
 */

const asset = /\.(min\.js|css|svg|wasm)$|\/views\/assets\/(live|page)\.js$/
const mark = '?asset'

registerHooks({
  resolve(specifier, context, next) {
    if (!asset.test(specifier)) return next(specifier, context)
    // `type: 'text'` is esbuild's word; Node.js does not know it.
    const found = next(specifier, { ...context, importAttributes: {} })
    return { url: found.url + mark, format: 'module', importAttributes: {}, shortCircuit: true }
  },
  load(url, context, next) {
    if (driverFile.test(url)) {
      const { format, source } = next(url, context)
      return { format, source: patchDriver(url, String(source)), shortCircuit: true }
    }
    if (!url.endsWith(mark)) return next(url, context)
    const file = url.slice(0, -mark.length)
    const value = file.endsWith('.wasm') ? file : readFileSync(fileURLToPath(file), 'utf8')
    return {
      format: 'module',
      source: `export default ${JSON.stringify(value)}`,
      shortCircuit: true,
    }
  },
})
