import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defaultCryptoProvider } from "../../src/crypto/provider.ts";
import { defaultAlgorithm } from "../../src/crypto/registry.ts";
import { SigstoreError } from "../../src/errors.ts";
import { MAX_SIGNED_NOTE_BYTES, MAX_SIGNED_NOTE_SIGNATURES } from "../../src/limits.ts";
import { parseWitnessKey } from "../../src/tlog/cosignature.ts";
import { noteKeyId, parseSignedNote } from "../../src/tlog/signed-note.ts";
import { parseTrustedRoot } from "../../src/trust/trusted-root.ts";
import { textFile } from "../support/json-edits.ts";
import { makeKey, noteLine, utf8 } from "../support/logs.ts";

const crypto = defaultCryptoProvider();
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

// The example of C2SP signed-note.
const EXAMPLE = `Ognuno sta solo sul cuor della terra
trafitto da un raggio di sole:

ed è subito sera.

— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=
`;

const LINE = noteLine("log.example", Uint8Array.of(1, 2, 3, 4), Uint8Array.of(5));
const VALID = `text\n\n${LINE}`;

describe("parseSignedNote (C2SP signed-note, Format)", () => {
  test("splits at the last empty line, so that the text may have empty lines", () => {
    const note = parseSignedNote(EXAMPLE);
    expect(note.text).toBe(
      "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n",
    );
    expect(note.signatures.map(({ name, keyId, signature }) => [name, hex(keyId), signature.length])).toEqual([
      ["quasimodo.example/salvatore", "367ba04b", 64],
    ]);
  });

  test("keeps every signature line in its order", () => {
    const note = parseSignedNote(VALID + noteLine("b", Uint8Array.of(0, 0, 0, 9), new Uint8Array(64)));
    expect(note).toEqual({
      text: "text\n",
      signatures: [
        { name: "log.example", keyId: Uint8Array.of(1, 2, 3, 4), signature: Uint8Array.of(5) },
        { name: "b", keyId: Uint8Array.of(0, 0, 0, 9), signature: new Uint8Array(64) },
      ],
    });
  });

  test("accepts as many signatures as the limit says, which is more than the 16 that the specification asks for", () => {
    const note = parseSignedNote(`text\n\n${LINE.repeat(MAX_SIGNED_NOTE_SIGNATURES)}`);
    expect(note.signatures).toHaveLength(MAX_SIGNED_NOTE_SIGNATURES);
    expect(MAX_SIGNED_NOTE_SIGNATURES).toBeGreaterThanOrEqual(16);
  });

  test.for([
    ["is empty", ""],
    ["has no signature", "text\n\n"],
    ["has no blank line before its signatures", `text\n${LINE}`],
    ["is a signature line behind something else", `x${LINE}`],
    ["has no final newline", VALID.slice(0, -1)],
    ["has a blank line at its end", `${VALID}\n`],
    ["has text after its signatures", `${VALID}more\n`],
    ["has a signature line with a hyphen for the em dash", VALID.replace("\u2014", "-")],
    ["has a signature line without a name", VALID.replace("log.example ", "")],
    ["has an empty name", VALID.replace("log.example", "")],
    ["has a plus in a name", VALID.replace("log.example", "log+example")],
    ["has a Unicode space in a name", VALID.replace("log.example", "log\u00a0example")],
    ["has a line separator in a name", VALID.replace("log.example", "log\u2028example")],
    ["has a signature that is not base64", VALID.replace("AQID", "AQ-D")],
    ["has base64 with bits after its end", VALID.replace("AQIDBAU=", "AQIDBAV=")],
    ["has a space after a signature", VALID.replace(/\n$/, " \n")],
    ["has a key id and no signature", VALID.replace("AQIDBAU=", "AQIDBA==")],
    ["has a signature shorter than a key id", VALID.replace("AQIDBAU=", "AQID")],
    ["has a carriage return", VALID.replace("text\n", "text\r\n")],
    ["has a tab", VALID.replace("text", "te\txt")],
    ["has a NUL", VALID.replace("text", "te\0xt")],
    ["has a lone surrogate", VALID.replace("text", "te\ud800xt")],
  ] as const)("rejects a note that %s", ([, note]) => {
    expect(() => parseSignedNote(note)).toThrow(expect.objectContaining({ code: "SIGNED_NOTE_MALFORMED" }));
  });

  test.for([
    ["more signatures", `text\n\n${LINE.repeat(MAX_SIGNED_NOTE_SIGNATURES + 1)}`],
    ["more text", `${"x".repeat(MAX_SIGNED_NOTE_BYTES)}${VALID}`],
  ] as const)("rejects a note with %s than the limit", ([, note]) => {
    expect(() => parseSignedNote(note)).toThrow(expect.objectContaining({ code: "LIMIT_EXCEEDED" }));
  });

  test("reads back what was written", () => {
    const name = fc.stringMatching(/^[a-zé./0-9_-]{1,20}$/u);
    const line = fc.record({
      name,
      keyId: fc.uint8Array({ minLength: 4, maxLength: 4 }),
      signature: fc.uint8Array({ minLength: 1, maxLength: 80 }),
    });
    const text = fc.stringMatching(/^[^\0-\x1f\ud800-\udfff]{0,30}$/).map((words) => `${words}\n`);
    fc.assert(
      fc.property(text, fc.array(line, { minLength: 1, maxLength: 5 }), (body, lines) => {
        const written = `${body}\n${lines.map((one) => noteLine(one.name, one.keyId, one.signature)).join("")}`;
        expect(parseSignedNote(written)).toEqual({ text: body, signatures: lines });
      }),
    );
  });

  test("gives another note or an error for any one character changed or left out", () => {
    const valid = parseSignedNote(EXAMPLE);
    fc.assert(
      fc.property(fc.nat(EXAMPLE.length - 1), fc.constantFrom("", "\n", " ", "A", "\ud83d", "+", "="), (at, other) => {
        const changed = EXAMPLE.slice(0, at) + other + EXAMPLE.slice(at + 1);
        if (changed === EXAMPLE) return;
        try {
          expect(parseSignedNote(changed)).not.toEqual(valid);
        } catch (error) {
          expect(error).toBeInstanceOf(SigstoreError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("throws nothing but its own errors for any text", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("\n", " ", "\u2014", "a", "AAAAAAAA", "+", "\r", "\ud800") }),
        (text) => {
          try {
            parseSignedNote(text);
          } catch (error) {
            expect(error).toBeInstanceOf(SigstoreError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe("noteKeyId (C2SP signed-note, Signature types)", () => {
  test("is the published one for the Ed25519 key of the specification's test vector, whose signature verifies", async () => {
    // https://c2sp.org/signed-note, test vectors
    const spki = Buffer.from(
      "302a300506032b6570032100e932791ae6e7a840a46164c904786426d5e7821dd8b29a00d61cae72afdd4da4",
      "hex",
    );
    const { parsePublicKey } = await import("../../src/crypto/public-key.ts");
    const key = parsePublicKey(new Uint8Array(spki));
    expect(hex(await noteKeyId("example.com/foo", key, crypto))).toBe("530d903a");

    const note = parseSignedNote(
      "This is an example message.\n\n\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n",
    );
    const [line] = note.signatures;
    expect(hex(line?.keyId ?? new Uint8Array())).toBe("530d903a");
    expect(await crypto.verify(defaultAlgorithm(key), key, line?.signature ?? new Uint8Array(), utf8(note.text))).toBe(
      true,
    );
  });

  test("begins the log ids that the trusted roots have for Rekor v2, and for Rekor v1", async () => {
    for (const name of ["production", "staging"]) {
      const { tlogs } = parseTrustedRoot(textFile(`trusted-root/${name}.trusted_root.json`));
      expect(tlogs.length).toBeGreaterThan(1);
      for (const { baseUrl, publicKey, logId } of tlogs) {
        const id = await noteKeyId(baseUrl.replace("https://", ""), publicKey, crypto);
        expect([baseUrl, hex(id)]).toEqual([baseUrl, hex(logId).slice(0, 8)]);
      }
    }
  });

  test("is that of the published key of an ML-DSA witness", async () => {
    const vkey =
      textFile("checkpoint/witnesses.txt")
        .split("\n")
        .find((line) => line.includes("+6bc44249+")) ?? "";
    const { name, publicKey } = await parseWitnessKey(vkey, crypto);
    expect(hex(await noteKeyId(name, publicKey, crypto))).toBe("6bc44249");
  });

  test("hashes name, 0xFF, an identifier and the key for RSA, as Rekor v2 does", async () => {
    const { publicKey } = makeKey("rsa");
    const expected = createHash("sha256")
      .update("log.example\n\xffPKIX-RSA-PKCS#1v1.5", "latin1")
      .update(publicKey.spki)
      .digest("hex");
    expect(hex(await noteKeyId("log.example", publicKey, crypto))).toBe(expected.slice(0, 8));
  });

  test("does not depend on the name for ECDSA, and does for all others", async () => {
    const independent: string[] = [];
    for (const kind of ["p256", "p384", "ed25519", "rsa", "ml-dsa-44"] as const) {
      const { publicKey } = makeKey(kind);
      const [one, other] = [await noteKeyId("a", publicKey, crypto), await noteKeyId("b", publicKey, crypto)];
      expect(one).toHaveLength(4);
      if (hex(one) === hex(other)) independent.push(kind);
    }
    expect(independent).toEqual(["p256", "p384"]);
  });

  test("refuses a key type that has none", async () => {
    const { publicKey } = makeKey("rsa");
    const pss = { ...publicKey, type: "rsa-pss" } as const;
    await expect(noteKeyId("a", pss, crypto)).rejects.toMatchObject({ code: "ALGORITHM_UNSUPPORTED" });
  });
});
