/**
 * A bundle, changed by one bit or cut at one place: in its JSON text, or inside one of its base64 fields.
 *
 * @module
 */

/** One change to a bundle. Made when it is asked for: the whole matrix would not fit in memory. */
export interface Mutation {
  readonly label: string;
  make(): Uint8Array;
}

interface Field {
  readonly path: string;
  /** Where the base64 text stands in the JSON text. */
  readonly start: number;
  readonly end: number;
  readonly bytes: Uint8Array;
}

/** Base64 of at least this many characters is taken for a field of bytes; `"Timestamp"` and the like are shorter words. */
const SHORTEST_FIELD = 24;

/** Lists every change of one bit, and every cut, of a bundle's text and of the bytes in its base64 fields. */
export function listMutations(bundle: Uint8Array): readonly Mutation[] {
  const text = new TextDecoder("utf-8", { fatal: true }).decode(bundle);
  const mutations: Mutation[] = [];
  for (let index = 0; index < bundle.length; index += 1) {
    for (let bit = 0; bit < 8; bit += 1) {
      mutations.push({ label: `text byte ${index} bit ${bit}`, make: () => flipped(bundle, index, bit) });
    }
    mutations.push({ label: `text cut at ${index}`, make: () => bundle.slice(0, index) });
  }
  for (const field of findFields(text)) {
    const rewrite = (bytes: Uint8Array): Uint8Array =>
      new TextEncoder().encode(
        text.slice(0, field.start) + Buffer.from(bytes).toString("base64") + text.slice(field.end),
      );
    for (let index = 0; index < field.bytes.length; index += 1) {
      for (let bit = 0; bit < 8; bit += 1) {
        mutations.push({
          label: `${field.path} byte ${index} bit ${bit}`,
          make: () => rewrite(flipped(field.bytes, index, bit)),
        });
      }
      mutations.push({ label: `${field.path} cut at ${index}`, make: () => rewrite(field.bytes.slice(0, index)) });
    }
  }
  return mutations;
}

function findFields(text: string): readonly Field[] {
  const fields: Field[] = [];
  for (const match of text.matchAll(
    /"([A-Za-z0-9]+)":\s*"([A-Za-z0-9+/]+={0,2})"|(?<=[[,]\s*)"([A-Za-z0-9+/]{43}=)"/g,
  )) {
    const value = match[2] ?? match[3] ?? "";
    const bytes = Buffer.from(value, "base64");
    if (value.length < SHORTEST_FIELD || bytes.toString("base64") !== value) continue;
    const start = match.index + match[0].lastIndexOf(value);
    fields.push({
      path: `${match[1] ?? "hashes"}@${start}`,
      start,
      end: start + value.length,
      bytes: new Uint8Array(bytes),
    });
  }
  return fields;
}

function flipped(bytes: Uint8Array, index: number, bit: number): Uint8Array {
  const changed = bytes.slice();
  changed[index] = (changed[index] ?? 0) ^ (1 << bit);
  return changed;
}

/** Draws some of the mutations, the same ones for the same seed. */
export function sampleMutations(mutations: readonly Mutation[], count: number, seed: number): readonly Mutation[] {
  let state = seed >>> 0;
  return Array.from({ length: count }, () => {
    // xorshift32: any spread will do, as long as it repeats.
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return mutations[state % mutations.length];
  }).filter((mutation) => mutation !== undefined);
}
