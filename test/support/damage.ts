/**
 * Damage to what came over a network or from a disk: to its bytes, and to its JSON where it is JSON.
 *
 * @module
 */

import fc from "fast-check";

/** Is one thing that is done to a text. Numbers are taken modulo what there is. */
export type Damage =
  | { readonly kind: "flip" | "cut" | "drop"; readonly at: number; readonly by: number }
  | { readonly kind: "value"; readonly at: number; readonly value: unknown }
  | { readonly kind: "remove" | "copy" | "wrap"; readonly at: number; readonly from: number };

const number = fc.nat(1_000_000);
const HOSTILE: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1e308,
  2 ** 63,
  "",
  "\u0000",
  "=",
  "AAAA",
  "9223372036854775807",
  "-9223372036854775809",
  "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----",
  "x".repeat(5000),
  [],
  {},
  [[]],
  [null],
  Array.from({ length: 300 }, () => "AAAA"),
];

/** One to three damages, mostly one. */
export const DAMAGES: fc.Arbitrary<readonly Damage[]> = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constantFrom("flip", "cut", "drop"), at: number, by: fc.integer({ min: 1, max: 255 }) }),
    fc.record({ kind: fc.constant("value"), at: number, value: fc.constantFrom(...HOSTILE) }),
    fc.record({ kind: fc.constant("value"), at: number, value: fc.constantFrom(...HOSTILE) }),
    fc.record({ kind: fc.constantFrom("remove", "copy", "wrap"), at: number, from: number }),
  ),
  { minLength: 1, maxLength: 3 },
);

/** Does the damages one after the other. */
export function damaged(bytes: Uint8Array, damages: readonly Damage[]): Uint8Array {
  return damages.reduce((before, damage) => damageOnce(before, damage), bytes);
}

function damageOnce(bytes: Uint8Array, damage: Damage): Uint8Array {
  if ("by" in damage) {
    const at = damage.at % Math.max(1, bytes.length);
    if (damage.kind === "cut") return bytes.slice(0, at);
    if (damage.kind === "drop") return Uint8Array.from([...bytes.slice(0, at), ...bytes.slice(at + damage.by)]);
    return bytes.map((byte, index) => (index === at ? byte ^ damage.by : byte));
  }
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(bytes).toString());
  } catch {
    return bytes; // no JSON, or not any more
  }
  const places = placesIn({ json });
  const [place, other] = [
    places[damage.at % places.length],
    places["from" in damage ? damage.from % places.length : 0],
  ];
  if (place === undefined || other === undefined) return bytes;
  const { holder, key } = place;
  const before = holder[key];
  if (damage.kind === "value") holder[key] = damage.value;
  else if (damage.kind === "copy") holder[key] = structuredClone(other.holder[other.key]);
  else if (damage.kind === "wrap") holder[key] = [before, before];
  else if (Array.isArray(holder)) holder.splice(Number(key), 1);
  else Reflect.deleteProperty(holder, key);
  const root = places[0]?.holder["json"];
  return Buffer.from(JSON.stringify(root) ?? "");
}

interface Place {
  readonly holder: Record<string, unknown>;
  readonly key: string;
}

/** The root first. */
function placesIn(holder: Record<string, unknown>): readonly Place[] {
  return Object.keys(holder).flatMap((key) => {
    const value = holder[key];
    const below = typeof value === "object" && value !== null ? placesIn(value as Record<string, unknown>) : [];
    return [{ holder, key }, ...below];
  });
}
