import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { preAuthEncoding } from "../../src/dsse/pae.ts";
import { SAMPLE } from "../support/hostile.ts";

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

describe("preAuthEncoding (DSSE protocol)", () => {
  test("writes the test vector of the specification", () => {
    expect(text(preAuthEncoding("http://example.com/HelloWorld", Buffer.from("hello world")))).toBe(
      "DSSEv1 29 http://example.com/HelloWorld 11 hello world",
    );
  });

  test("counts bytes, not characters", () => {
    expect(text(preAuthEncoding("é", Buffer.from("😂")))).toBe("DSSEv1 2 é 4 😂");
  });

  test("writes empty parts with length 0", () => {
    expect(text(preAuthEncoding("", new Uint8Array(0)))).toBe("DSSEv1 0  0 ");
  });

  test("keeps the payload as it is, whatever its bytes", () => {
    expect(preAuthEncoding("t", Uint8Array.of(0xff, 0x00, 0x20))).toEqual(
      new Uint8Array(Buffer.from("4453534576312031207420 3320ff0020".replace(" ", ""), "hex")),
    );
  });

  test("never gives two pairs of type and payload the same bytes", () => {
    const part = fc.string({ unit: fc.constantFrom("1", " ", "a", "DSSEv1 ") });
    fc.assert(
      fc.property(part, part, part, part, (typeA, payloadA, typeB, payloadB) => {
        const a = text(preAuthEncoding(typeA, Buffer.from(payloadA)));
        const b = text(preAuthEncoding(typeB, Buffer.from(payloadB)));
        expect(a === b).toBe(typeA === typeB && payloadA === payloadB);
      }),
      { ...SAMPLE, numRuns: 2000 },
    );
  });
});
