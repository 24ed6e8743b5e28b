/**
 * Formats the octets of an IP address, four for IPv4 and sixteen for IPv6.
 *
 * @see RFC 5952 §4: lower case, no leading zeros, the longest run of zero groups (the first of equal ones) as `::`
 */
export function formatIpAddress(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join(".");
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((octets[i] ?? 0) << 8) | (octets[i + 1] ?? 0));
  let start = -1;
  let length = 1; // §4.2.2: a single group is not shortened
  for (let i = 0; i < groups.length;) {
    let end = i;
    while (end < groups.length && groups[end] === 0) end++;
    if (end - i > length) {
      start = i;
      length = end - i;
    }
    i = end + 1;
  }
  const hex = groups.map((group) => group.toString(16));
  if (start < 0) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`;
}
