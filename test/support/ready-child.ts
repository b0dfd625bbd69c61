import { tellReady } from '../../src/platform/parent.ts'

/* A child that says that it works; after it parted from its parent, when it is told to. */
if (process.argv[2] === 'parted') process.disconnect()
tellReady('http://x')
setTimeout(() => {
  if (process.connected) process.disconnect()
}, 200)
