import { describe, expect, test } from "vitest";
import { parseTimestampInfo } from "../../src/tsa/tst-info.ts";
import { parseTimestampResponse } from "../../src/tsa/timestamp-response.ts";
import {
  bool,
  bytes,
  ctx,
  der,
  generalizedTime,
  int,
  name,
  nul,
  octets,
  oid,
  prim,
  seq,
  utcTime,
} from "../support/certificates.ts";
import { algorithm, contentOf, hash, TIMESTAMP_OIDS, type TimestampOptions } from "../support/timestamps.ts";
import { DATA, timestamp } from "./fixtures.ts";

const read = (options: Partial<TimestampOptions>) => parseTimestampResponse(timestamp(options));
const extension = (critical: readonly Uint8Array[]): Uint8Array =>
  seq(oid("1.3.6.1.5.5.7.1.3"), ...critical, octets(seq()));

describe("parseTimestampInfo (RFC 3161 §2.4.2, TSTInfo)", () => {
  test.for([
    ["seconds", seq(int(2)), { seconds: 2, milliseconds: 0, microseconds: 0 }],
    ["milliseconds", seq(prim(0, bytes(1))), { seconds: 0, milliseconds: 1, microseconds: 0 }],
    ["microseconds", seq(prim(1, bytes(0x03, 0xe7))), { seconds: 0, milliseconds: 0, microseconds: 999 }],
    ["all three", seq(int(1), prim(0, bytes(2)), prim(1, bytes(3))), { seconds: 1, milliseconds: 2, microseconds: 3 }],
    ["none of them", seq(), { seconds: 0, milliseconds: 0, microseconds: 0 }],
  ] as const)("reads an accuracy of %s", ([, accuracy, expected]) => {
    expect(read({ accuracy }).accuracy).toEqual(expected);
  });

  test("reads ordering, also where its default is spelled out", () => {
    expect(read({ ordering: bool(true) }).ordering).toBe(true);
    expect(read({ ordering: bool(false) }).ordering).toBe(false);
  });

  test("reads numbers of any size and sign", () => {
    const big = bytes(0x7f, new Uint8Array(19).fill(0xff));
    expect(read({ tokenSerialNumber: int(...big) }).serialNumber).toBe(2n ** 159n - 1n);
    expect(read({ nonce: int(...big) }).nonce).toBe(2n ** 159n - 1n);
    expect(read({ nonce: int(0xff) }).nonce).toBe(-1n);
    expect(read({ nonce: int(0) }).nonce).toBe(0n);
  });

  test.for([
    ["20260102030405.5Z", "2026-01-02T03:04:05.500Z"],
    ["20260102030405.123456Z", "2026-01-02T03:04:05.123Z"],
    ["20280229235959Z", "2028-02-29T23:59:59.000Z"],
  ] as const)("reads the time %s", ([genTime, expected]) => {
    expect(read({ genTime: generalizedTime(genTime) }).genTime.toISOString()).toBe(expected);
  });

  test("reads the authority's name and passes over extensions that are not critical", () => {
    const directory = name({ CN: "tsa" });
    expect(
      read({ tsaName: ctx(0, ctx(4, directory)), infoExtensions: ctx(1, extension([]), extension([bool(false)])) }).tsa,
    ).toEqual({ form: 4, content: directory });
  });

  test("leaves a digest algorithm that is not known to the verifier", () => {
    expect(
      read({ imprint: seq(algorithm(TIMESTAMP_OIDS.sha1, nul()), octets(hash("sha1", DATA))) }).imprint.algorithm,
    ).toEqual({ oid: TIMESTAMP_OIDS.sha1, hash: undefined });
    expect(
      read({ imprint: seq(algorithm(TIMESTAMP_OIDS.sha256), octets(hash("sha256", DATA))) }).imprint.algorithm.hash,
    ).toBe("sha256");
  });

  test.for<[string, Partial<TimestampOptions>]>([
    ["version 2", { infoVersion: int(2) }],
    ["version 0", { infoVersion: int(0) }],
    ["no policy", { policy: bytes() }],
    [
      "an imprint of 31 bytes",
      { imprint: seq(algorithm(TIMESTAMP_OIDS.sha256), octets(hash("sha256", DATA).subarray(1))) },
    ],
    [
      "an imprint of SHA-384 with 32 bytes",
      { imprint: seq(algorithm(TIMESTAMP_OIDS.sha384), octets(hash("sha256", DATA))) },
    ],
    [
      "an imprint with something after it",
      { imprint: seq(algorithm(TIMESTAMP_OIDS.sha256), octets(hash("sha256", DATA)), nul()) },
    ],
    [
      "an imprint whose hash has parameters",
      { imprint: seq(algorithm(TIMESTAMP_OIDS.sha256, int(1)), octets(hash("sha256", DATA))) },
    ],
    [
      "an imprint whose hash has a NULL with content",
      { imprint: seq(algorithm(TIMESTAMP_OIDS.sha256, der(0x05, bytes(0))), octets(hash("sha256", DATA))) },
    ],
    ["no serial number", { tokenSerialNumber: bytes() }],
    ["a UTCTime", { genTime: utcTime("260102030405Z") }],
    ["a time without Z", { genTime: generalizedTime("20260102030405") }],
    ["a time with an offset", { genTime: generalizedTime("20260102030405+0000") }],
    ["a time without seconds", { genTime: generalizedTime("202601020304Z") }],
    ["a time whose fraction ends in zero", { genTime: generalizedTime("20260102030405.50Z") }],
    ["a time with an empty fraction", { genTime: generalizedTime("20260102030405.Z") }],
    ["a time that does not exist", { genTime: generalizedTime("20260229000000Z") }],
    ["an accuracy of 0 milliseconds", { accuracy: seq(prim(0, bytes(0))) }],
    ["an accuracy of 1000 milliseconds", { accuracy: seq(prim(0, bytes(0x03, 0xe8))) }],
    ["an accuracy of 1000 microseconds", { accuracy: seq(prim(1, bytes(0x03, 0xe8))) }],
    ["a negative accuracy", { accuracy: seq(int(0xff)) }],
    ["an accuracy with something after it", { accuracy: seq(int(1), prim(2, bytes(1))) }],
    ["an ordering that is neither 00 nor FF", { ordering: der(0x01, bytes(1)) }],
    ["a nonce that is not minimal", { nonce: int(0, 1) }],
    ["an authority's name that is no GeneralName", { tsaName: ctx(0, name({ CN: "tsa" })) }],
    ["an authority's name that is an octet string", { tsaName: ctx(0, octets(name({ CN: "tsa" }))) }],
    ["an authority's name of an alternative that does not exist", { tsaName: ctx(0, prim(9, "tsa")) }],
    ["two names of its authority", { tsaName: ctx(0, prim(2, "a"), prim(2, "b")) }],
    ["an empty list of extensions", { infoExtensions: ctx(1) }],
    ["a critical extension that is not known", { infoExtensions: ctx(1, extension([bool(true)])) }],
    [
      "a second critical extension that is not known",
      { infoExtensions: ctx(1, extension([]), extension([bool(true)])) },
    ],
    ["an extension with something after it", { infoExtensions: ctx(1, seq(oid("1.2.3"), octets(seq()), nul())) }],
    ["something after its last field", { info: (info) => seq(contentOf(info), nul()) }],
    ["something after itself", { info: (info) => bytes(info, nul()) }],
    ["an indefinite length (BER)", { info: (info) => bytes(0x30, 0x80, contentOf(info), 0, 0) }],
    ["an indefinite length (BER) in its authority's name", { tsaName: ctx(0, ctx(4, bytes(0x30, 0x80, 0, 0))) }],
    ["fields in another order", { accuracy: bool(true), ordering: seq(int(1)) }],
  ])("refuses content with %s", ([, options]) => {
    expect(() => read(options)).toThrow(expect.objectContaining({ code: "TIMESTAMP_MALFORMED" }));
  });

  test("refuses 65 extensions", () => {
    expect(() => read({ infoExtensions: ctx(1, ...Array.from({ length: 65 }, () => extension([]))) })).toThrow(
      expect.objectContaining({ code: "LIMIT_EXCEEDED" }),
    );
  });

  test("says what it says without a response around it", () => {
    const token = read({});
    expect(parseTimestampInfo(token.signedData.content).genTime).toEqual(token.genTime);
  });
});
