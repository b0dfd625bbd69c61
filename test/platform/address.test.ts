import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { toNetwork } from '../../src/platform/address.ts'

describe('the network of an address', () => {
  test('is the same for all addresses that one host can have, and for no other host', () => {
    const networks: [string, string[]][] = [
      ['10.1.2.3', ['10.1.2.3', '::ffff:10.1.2.3', '::FFFF:10.1.2.3']],
      ['10.1.2.4', ['::ffff:10.1.2.4']],
      ['2001:db8:1:2', ['2001:db8:1:2::1', '2001:db8:1:2:a:b:c:d', '2001:db8:1:2::']],
      ['2001:db8:0:0', ['2001:db8::1', '2001:db8:0:0:1::', '2001:db8::1:2:3:4']],
      ['2001:0:0:1', ['2001::1:0:0:0:1']],
      ['0:0:0:0', ['::1', '::']],
      ['fe80:0:0:0', ['fe80::1%eth0']],
    ]
    for (const [network, addresses] of networks) {
      for (const address of addresses) assert.equal(toNetwork(address), network, address)
    }
  })
})
