#!/usr/bin/env node
/**
 * The file that is run. It looks at the version of Node.js before anything else is loaded:
 * the prebuilt SQLite needs Node-API 10 and ends an older Node.js with a segmentation fault,
 * which explains nothing. Hence no static import here, and no syntax that is younger than
 * dynamic import.
 */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

if (major > 22 || (major === 22 && minor >= 15)) {
  import('./main.ts')
} else {
  const found = `this is v${process.versions.node} at ${process.execPath}`
  console.error(`wafermon needs Node.js 22.15 or newer (24 recommended); ${found}`)
  // EX_CONFIG of sysexits.h: a supervisor should not try again.
  process.exit(78)
}
