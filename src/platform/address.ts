/**
 * The part of an address that stands for one caller: of IPv6 the network of 64 bits, because every host
 * has a whole one; an IPv4 address as it is, also where a socket for both shows it as `::ffff:10.1.2.3`.
 *
 * @param address as a socket has it
 */
export function toNetwork(address: string): string {
  const mapped = /^::ffff:([\d.]+)$/i.exec(address)?.[1]
  if (mapped !== undefined) return mapped
  return address.includes(':') ? groupsOf(address).slice(0, 4).join(':') : address
}

/** The eight groups of an IPv6 address, those that `::` stands for as well. */
function groupsOf(address: string): string[] {
  const [head = '', tail] = address.split('::').map((part) => part.split(':').filter(Boolean))
  if (tail === undefined) return [...head]
  return [...head, ...Array<string>(8 - head.length - tail.length).fill('0'), ...tail]
}
