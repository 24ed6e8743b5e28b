import { describe, expect, test } from "vitest";
import { formatIpAddress } from "../../src/x509/ip-address.ts";

describe("formatIpAddress (RFC 5952 §4)", () => {
  // The examples of RFC 5952 and RFC 4291 §2.2
  test.for([
    ["20010db8000000000000000000000001", "2001:db8::1"],
    ["20010db8000000000001000000000001", "2001:db8::1:0:0:1"],
    ["20010db8000000010001000100010001", "2001:db8:0:1:1:1:1:1"],
    ["20010000000000010000000000000001", "2001:0:0:1::1"],
    ["00000000000000000000000000000000", "::"],
    ["00000000000000000000000000000001", "::1"],
    ["ff010000000000000000000000000000", "ff01::"],
    ["20010db800000000000000000000aAaA", "2001:db8::aaaa"],
    ["c0000201", "192.0.2.1"],
    ["00000000", "0.0.0.0"],
  ])("writes %s as %s", ([hex, text]) => {
    expect(formatIpAddress(Uint8Array.from(Buffer.from(hex ?? "", "hex")))).toBe(text);
  });
});
