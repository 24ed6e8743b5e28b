import { createPublicKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodePem, parsePem } from "../../src/encoding/pem.ts";
import { anyText, expectNoOtherError, SAMPLE } from "../support/hostile.ts";
import { projectDir } from "../support/shared.ts";

const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const spki = new Uint8Array(publicKey.export({ type: "spki", format: "der" }));
const pem = publicKey.export({ type: "spki", format: "pem" });
const [first = "", second = ""] = pem.split("\n").slice(1, -2);

describe("parsePem (RFC 7468)", () => {
  test("reads what openssl writes", () => {
    expect(parsePem(pem)).toEqual([{ label: "PUBLIC KEY", bytes: spki }]);
  });

  test("reads every block of a chain, in order", () => {
    const chain = readFileSync(resolve(projectDir, "testdata", "x509", "chain-ecdsa-p256-sha256.pem"), "utf8");
    const expected = [...chain.matchAll(/-----BEGIN[^]*?END CERTIFICATE-----/g)].map(
      ([block]) => new Uint8Array(new X509Certificate(block).raw),
    );
    expect(expected).toHaveLength(3);
    expect(parsePem(chain)).toEqual(expected.map((bytes) => ({ label: "CERTIFICATE", bytes })));
  });

  test.for([
    ["lines that end in CR LF", pem.replaceAll("\n", "\r\n")],
    ["lines that end in CR", pem.replaceAll("\n", "\r")],
    ["no newline at its end", pem.trimEnd()],
    ["white space at the end of its lines", pem.replaceAll("\n", " \t\n")],
    ["blank lines after BEGIN", pem.replace("KEY-----\n", "KEY-----\n\n \n")],
    ["explanatory text around it", `Subject: CN=x\n\n${pem}\nthe end -- really -----\n`],
    ["all its base64 in one line", pem.replace(`${first}\n${second}`, first + second)],
    [
      "lines of 76 columns",
      pem.replace(`${first}\n${second}`, `${(first + second).slice(0, 76)}\n${(first + second).slice(76)}`),
    ],
  ] as const)("accepts a text that has %s", ([, text]) => {
    expect(parsePem(text)).toEqual([{ label: "PUBLIC KEY", bytes: spki }]);
  });

  test.for([
    ["is empty", ""],
    ["has no block", "just text\n"],
    ["is bare base64", `${first}\n${second}\n`],
    ["lacks its END", pem.slice(0, pem.indexOf("-----END"))],
    ["lacks its BEGIN", pem.slice(pem.indexOf("\n") + 1)],
    ["ends under another label", pem.replace("END PUBLIC", "END PRIVATE")],
    ["ends under a label of another case", pem.replace("END PUBLIC", "END Public")],
    ["has another block inside", pem.replace(second, `-----BEGIN X-----\n${second}`)],
    ["has a header inside", pem.replace(first, `Proc-Type: 4,ENCRYPTED\n\n${first}`)],
    ["has a comment inside", pem.replace(second, `# comment\n${second}`)],
    ["has a blank line inside", pem.replace(second, `\n${second}`)],
    ["has white space before a line", pem.replace(second, ` ${second}`)],
    ["has white space inside a line", pem.replace(second, `${second.slice(0, 8)} ${second.slice(8)}`)],
    ["has an indented BEGIN", ` ${pem}`],
    ["has a byte order mark before BEGIN", `\ufeff${pem}`],
    ["has a BEGIN with four dashes at its end", pem.replace("BEGIN PUBLIC KEY-----", "BEGIN PUBLIC KEY----")],
    ["has a BEGIN with six dashes at its start", `-${pem}`],
    ["has text after its BEGIN", pem.replace("BEGIN PUBLIC KEY-----", "BEGIN PUBLIC KEY----- x")],
    ["has an END in lower case", pem.replace("-----END", "-----end")],
    ["has text after its END", `${pem.trimEnd()}x\n`],
    ["has an empty label", pem.replaceAll("PUBLIC KEY", "")],
    ["has a label that ends in a space", pem.replaceAll("PUBLIC KEY", "PUBLIC ")],
    ["has a label with two spaces", pem.replaceAll("PUBLIC KEY", "PUBLIC  KEY")],
    ["has a label beyond ASCII", pem.replaceAll("PUBLIC KEY", "PÜBLIC KEY")],
    ["has a label of 65 characters", pem.replaceAll("PUBLIC KEY", "X".repeat(65))],
    ["has nothing inside", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"],
    ["has base64 of the URL-safe alphabet", pem.replace(first.slice(0, 4), "-_-_")],
    ["has a padding too many", pem.replace(second, `${second.replace(/=+$/, "")}===`)],
    ["has base64 whose unused bits are set", "-----BEGIN X-----\nZh==\n-----END X-----\n"],
    ["has a broken block after a good one", `${pem}-----BEGIN X-----\n`],
    ["has a stray END after a good block", `${pem}-----END PUBLIC KEY-----\n`],
  ] as const)("rejects a text that %s", ([, text]) => {
    expect(() => parsePem(text)).toThrow(expect.objectContaining({ code: "PEM_MALFORMED" }));
  });

  test("has a limit on the number of blocks", () => {
    const block = "-----BEGIN X-----\nZg==\n-----END X-----\n";
    expect(parsePem(block.repeat(1024))).toHaveLength(1024);
    expect(() => parsePem(block.repeat(1025))).toThrow(expect.objectContaining({ code: "LIMIT_EXCEEDED" }));
  });

  test("throws nothing but a SigstoreError, and returns other bytes, when a character changes", () => {
    fc.assert(
      fc.property(fc.nat(pem.length - 1), anyText({ maxLength: 2 }), (index, replacement) => {
        fc.pre(replacement !== pem[index]);
        const text = pem.slice(0, index) + replacement + pem.slice(index + 1);
        const blocks = expectNoOtherError(() => parsePem(text));
        // White space at the end of a line, and newlines, may come and go.
        if (blocks !== undefined && text.replaceAll(/[ \t]*[\r\n]+/g, "") !== pem.replaceAll("\n", "")) {
          expect(blocks).not.toEqual([{ label: "PUBLIC KEY", bytes: spki }]);
        }
      }),
      SAMPLE,
    );
  });

  test("takes time in proportion to the text, however its lines end", () => {
    const started = performance.now();
    expectNoOtherError(() => parsePem("x\r".repeat(500_000)));
    expectNoOtherError(() => parsePem("x\n".repeat(500_000)));
    expectNoOtherError(() => parsePem(`-----BEGIN ${"-".repeat(1_000_000)}`));
    expectNoOtherError(() => parsePem(`-----BEGIN ${"A ".repeat(500_000)}-----`));
    expect(performance.now() - started).toBeLessThan(5000); // quadratic would take minutes
  });
});

describe("encodePem (RFC 7468 §3)", () => {
  test("writes what openssl writes, and openssl reads it", () => {
    expect(encodePem("PUBLIC KEY", spki)).toBe(pem);
    expect(createPublicKey(encodePem("PUBLIC KEY", spki)).equals(publicKey)).toBe(true);
  });

  test("writes no empty line when the last one is full", () => {
    expect(encodePem("X", new Uint8Array(48))).toBe(`-----BEGIN X-----\n${"A".repeat(64)}\n-----END X-----\n`);
  });

  test.for(["", " X", "X-", "A--B", "X\n"])("refuses the label %j", (label) => {
    expect(() => encodePem(label, spki)).toThrow(TypeError);
  });

  test("is inverted by parsePem", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), (bytes) => {
        expect(parsePem(encodePem("SOME LABEL", bytes))).toEqual([{ label: "SOME LABEL", bytes }]);
      }),
      SAMPLE,
    );
  });
});
