import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SigstoreError } from "../../src/errors.ts";
import { MAX_TIMESTAMP_BYTES } from "../../src/limits.ts";
import { parseTimestampResponse } from "../../src/tsa/timestamp-response.ts";
import { bits, bytes, ctx, der, int, octets, seq, set, utf8, utcTime } from "../support/certificates.ts";
import { isInSample } from "../support/samples.ts";
import { attribute, hash, TIMESTAMP_OIDS } from "../support/timestamps.ts";
import { DATA, timestamp, TSA } from "./fixtures.ts";

const NO_TOKEN = { contentInfo: () => bytes() };
const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof SigstoreError) return error.code;
    throw error;
  }
  return "accepted";
};

describe("parseTimestampResponse (RFC 3161 §2.4.2)", () => {
  test("reads what a token says", () => {
    const { genTime, policy, serialNumber, imprint, signedData, accuracy, ordering, nonce, tsa } =
      parseTimestampResponse(timestamp());
    expect({ genTime, policy, serialNumber, accuracy, ordering, nonce, tsa }).toEqual({
      genTime: new Date("2026-01-02T03:04:05Z"),
      policy: "1.3.6.1.4.1.57264.2",
      serialNumber: 0x1234n,
      accuracy: undefined,
      ordering: false,
      nonce: undefined,
      tsa: undefined,
    });
    expect(imprint).toEqual({
      algorithm: { oid: TIMESTAMP_OIDS.sha256, hash: "sha256" },
      digest: hash("sha256", DATA),
    });
    expect(signedData.certificates).toEqual([TSA.party.der]);
  });

  test("accepts a text beside the status", () => {
    expect(
      parseTimestampResponse(timestamp({ status: seq(int(0), seq(utf8("fine"), utf8("thanks"))) })).serialNumber,
    ).toBe(0x1234n);
  });

  test.for([
    ["grantedWithMods, since the token is not what was asked for", seq(int(1)), "granted with modifications"],
    ["rejection", seq(int(2)), "rejection"],
    ["waiting", seq(int(3)), "waiting"],
    ["a revocation warning", seq(int(4)), "revocation warning"],
    ["a revocation notification", seq(int(5)), "revocation notification"],
    ["a status that does not exist", seq(int(6)), "status 6"],
  ] as const)("refuses %s", ([, status, found]) => {
    expect(() => parseTimestampResponse(timestamp({ status }))).toThrow(
      expect.objectContaining({ code: "TIMESTAMP_NOT_GRANTED", found }),
    );
  });

  test("gives an authority's reasons for a rejection", () => {
    const status = seq(int(2), seq(utf8("policy\u001b[31m"), utf8("unknown")), bits(bytes(0x00, 0x01), 0));
    expect(() => parseTimestampResponse(timestamp({ status, ...NO_TOKEN }))).toThrow(
      'policy not supported; "policy\\u001b[31m unknown"',
    );
  });

  test.for([
    ["gives a reason for failure though it is granted", { status: seq(int(0), bits(bytes(0x20), 5)) }],
    ["has an empty list of texts", { status: seq(int(0), seq()) }],
    ["has a text that is not UTF-8", { status: seq(int(0), seq(der(0x0c, bytes(0xff)))) }],
    ["has something after its status", { status: seq(int(0), octets(DATA)) }],
    ["has a negative status", { status: seq(int(0xff)) }],
    ["is granted and has no token", NO_TOKEN],
    ["has a second token", { contentInfo: (info: Uint8Array) => bytes(info, info) }],
    ["has a byte after its end", { response: (response: Uint8Array) => bytes(response, 0) }],
    ["is empty", { response: () => bytes() }],
    ["is a set", { response: (response: Uint8Array) => bytes(0x31, response.subarray(1)) }],
    [
      "has a length that is not minimal",
      { response: (response: Uint8Array) => bytes(0x30, 0x83, 0, response.subarray(2)) },
    ],
    [
      "has an indefinite length (BER)",
      { response: (response: Uint8Array) => bytes(0x30, 0x80, response.subarray(4), 0, 0) },
    ],
    [
      "has an indefinite length (BER) inside an unsigned attribute",
      { unsignedAttributes: ctx(1, bytes(0x30, 0x80, 0, 0)) },
    ],
    [
      "has an indefinite length (BER) inside a signed attribute that is not known",
      {
        attributes: (usual: readonly ReturnType<typeof attribute>[]) => [
          ...usual,
          attribute("1.2.3.4", bytes(0x30, 0x80, 0, 0)),
        ],
      },
    ],
  ] as const)("refuses a response that %s", ([, options]) => {
    expect(() => parseTimestampResponse(timestamp(options))).toThrow(
      expect.objectContaining({ code: "TIMESTAMP_MALFORMED" }),
    );
  });

  test.for([
    [
      "more bytes than are allowed",
      { unsignedAttributes: ctx(1, attribute("1.2.3.4", octets(new Uint8Array(MAX_TIMESTAMP_BYTES))).bytes) },
    ],
    ["17 certificates", { certificates: Array.from({ length: 17 }, () => TSA.party.der) }],
    [
      "65 signed attributes",
      {
        attributes: (usual: readonly ReturnType<typeof attribute>[]) => [
          ...usual,
          ...Array.from({ length: 61 }, (_, i) => attribute(`1.2.3.${i}`, int(1))),
        ],
      },
    ],
    [
      "65 digest algorithms",
      { digestAlgorithms: set(...Array.from({ length: 65 }, () => seq(der(0x06, bytes(0x2a))))) },
    ],
    ["65 texts beside its status", { status: seq(int(0), seq(...Array.from({ length: 65 }, () => utf8("")))) }],
    [
      "values that nest 40 deep",
      {
        unsignedAttributes: ctx(
          1,
          Array.from({ length: 40 }).reduce<Uint8Array>((inner) => seq(inner), bytes()),
        ),
      },
    ],
    ["a signature of 17 KiB", { signature: () => new Uint8Array(17 * 1024) }],
  ] as const)("refuses %s", ([, options]) => {
    expect(() => parseTimestampResponse(timestamp(options))).toThrow(
      expect.objectContaining({ code: "LIMIT_EXCEEDED" }),
    );
  });

  test("accepts 16 certificates and 64 signed attributes", () => {
    const token = parseTimestampResponse(
      timestamp({
        certificates: Array.from({ length: 16 }, () => TSA.party.der),
        attributes: (usual) => [
          ...usual,
          ...Array.from({ length: 60 }, (_, i) => attribute(`1.2.3.${i}`, utcTime("260102030405Z"))),
        ],
      }),
    );
    expect(token.signedData.certificates).toHaveLength(16);
  });

  test("reads a flipped bit or a shorter response as another value, or refuses it", () => {
    const valid = timestamp();
    const shown = (response: Uint8Array): unknown =>
      JSON.stringify(parseTimestampResponse(response), (_, value: unknown) =>
        typeof value === "bigint" ? `${value}` : value,
      );
    const original = shown(valid);
    for (let length = 0; length < valid.length; length++)
      expect(codeOf(() => parseTimestampResponse(valid.subarray(0, length)))).toBe("TIMESTAMP_MALFORMED");
    let readable = 0;
    for (let bit = 0; bit < valid.length * 8; bit++) {
      if (!isInSample(bit, 5)) continue;
      const flipped = valid.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      try {
        expect(shown(flipped)).not.toBe(original);
        readable++;
      } catch (error) {
        if (!(error instanceof SigstoreError)) throw error;
      }
    }
    expect(readable).toBeGreaterThan(100); // of the signature, the serial numbers, the certificate
  });

  test("throws nothing but its own errors for bytes of any kind", () => {
    const valid = timestamp();
    const mutated = fc
      .tuple(
        fc.array(fc.record({ at: fc.nat(valid.length - 1), value: fc.nat(255) }), { minLength: 1, maxLength: 6 }),
        fc.uint8Array({ maxLength: 4 }),
      )
      .map(([changes, tail]) => {
        const copy = bytes(valid, tail);
        for (const { at, value } of changes) copy[at] = value;
        return copy;
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated), (input) => {
        codeOf(() => parseTimestampResponse(input));
      }),
      { seed: 3161, numRuns: 2000 },
    );
  });
});
