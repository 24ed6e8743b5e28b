import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defaultCryptoProvider } from "../../src/crypto/provider.ts";
import { SigstoreError } from "../../src/errors.ts";
import { parseCheckpoint, verifyCheckpoint } from "../../src/tlog/checkpoint.ts";
import { parseSignedNote } from "../../src/tlog/signed-note.ts";
import type { TransparencyLog } from "../../src/tlog/transparency-log.ts";
import { parseTrustedRoot } from "../../src/trust/trusted-root.ts";
import { textFile } from "../support/json-edits.ts";
import {
  base64,
  checkpointText,
  cosignedMessage,
  hintOf,
  lineV1,
  lineV2,
  makeLog,
  noteLine,
  noteOf,
  outcomeOf,
  typedKeyId,
  utf8,
  type KeyKind,
} from "../support/logs.ts";

const crypto = defaultCryptoProvider();
const ROOT = new Uint8Array(32).fill(7);
const ROOT_BASE64 = base64(ROOT);

describe("parseCheckpoint (C2SP tlog-checkpoint)", () => {
  test("reads origin, tree size and root hash, ignoring extension lines", () => {
    expect(parseCheckpoint(`log.example/2026\n18446744073709551615\n${ROOT_BASE64}\nextra\n`)).toEqual({
      origin: "log.example/2026",
      treeSize: 2n ** 64n - 1n, // a number would have lost this
      rootHash: ROOT,
    });
  });

  test("reads the head of an empty tree, and any origin", () => {
    expect(parseCheckpoint(`Go + more é\n0\n${ROOT_BASE64}\n`)).toMatchObject({ origin: "Go + more é", treeSize: 0n });
  });

  test("reads what Rekor v1 signed with a time as extension", () => {
    expect(
      parseCheckpoint(parseSignedNote(textFile("checkpoint/rekor-v1-with-timestamp-line.txt")).text),
    ).toMatchObject({
      origin: "rekor.sigstore.dev - 2605736670972794746",
      treeSize: 37795272n,
    });
  });

  test.for([
    ["is empty", ""],
    ["has no final newline", `log.example\n1\n${ROOT_BASE64}`],
    ["has no origin", `\n1\n${ROOT_BASE64}\n`],
    ["has two lines", `log.example\n1\n`],
    ["writes the tree size with a leading zero", `log.example\n01\n${ROOT_BASE64}\n`],
    ["writes the tree size with a sign", `log.example\n+1\n${ROOT_BASE64}\n`],
    ["writes the tree size in hexadecimal", `log.example\n0x1\n${ROOT_BASE64}\n`],
    ["has a space after the tree size", `log.example\n1 \n${ROOT_BASE64}\n`],
    ["has a tree size of 2^64", `log.example\n18446744073709551616\n${ROOT_BASE64}\n`],
    ["has a root hash of 31 bytes", `log.example\n1\n${base64(new Uint8Array(31))}\n`],
    ["has a root hash in base64url", `log.example\n1\n${base64(new Uint8Array(32).fill(255)).replaceAll("/", "_")}\n`],
    ["has a root hash without padding", `log.example\n1\n${ROOT_BASE64.replace("=", "")}\n`],
    ["has a blank line among its extensions", `log.example\n1\n${ROOT_BASE64}\n\n`],
  ] as const)("rejects a body that %s", ([, body]) => {
    expect(() => parseCheckpoint(body)).toThrow(expect.objectContaining({ code: "CHECKPOINT_MALFORMED" }));
  });

  test("reads back what was written", () => {
    const origin = fc.stringMatching(/^[^\n\ud800-\udfff]{1,30}$/);
    const size = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    fc.assert(
      fc.property(origin, size, fc.uint8Array({ minLength: 32, maxLength: 32 }), (name, treeSize, rootHash) => {
        expect(parseCheckpoint(checkpointText(name, treeSize, rootHash))).toEqual({ origin: name, treeSize, rootHash });
      }),
    );
  });

  test("throws nothing but its own errors for any text", () => {
    const unit = fc.constantFrom("\n", "0", "9", ROOT_BASE64, "a", "=");
    fc.assert(
      fc.property(fc.string({ unit }), (text) => {
        try {
          parseCheckpoint(text);
        } catch (error) {
          expect(error).toBeInstanceOf(SigstoreError);
        }
      }),
    );
  });
});

const production = parseTrustedRoot(textFile("trusted-root/production.trusted_root.json"));
const staging = parseTrustedRoot(textFile("trusted-root/staging.trusted_root.json"));

function logAt(logs: readonly TransparencyLog[], baseUrl: string): TransparencyLog {
  const log = logs.find((one) => one.baseUrl === baseUrl);
  if (log === undefined) throw new Error(`no log at ${baseUrl}`);
  return log;
}

const NOT_SIGNED = { code: "CHECKPOINT_NOT_SIGNED_BY_LOG" };
const INVALID = { code: "CHECKPOINT_SIGNATURE_INVALID" };

describe("verifyCheckpoint for Rekor v1", () => {
  const log = makeLog("p256", "https://rekor.test");
  const stranger = makeLog("p256", "https://rekor.test");
  const TREE_ID = "1193050959916656506";
  const text = checkpointText(`rekor.test - ${TREE_ID}`, 5, ROOT);
  const verify = (note: string, by: TransparencyLog = log) => verifyCheckpoint(parseSignedNote(note), by, 1, crypto);

  test.for(["rekor-v1-with-timestamp-line", "rekor-v1-second-signer-with-same-key-id"])(
    "accepts the checkpoint of rekor.sigstore.dev in %s",
    async (file) => {
      const note = textFile(`checkpoint/${file}.txt`);
      const checkpoint = await verify(note, logAt(production.tlogs, "https://rekor.sigstore.dev"));
      expect(checkpoint.treeSize).toBe(37795272n);
      await expect(verify(note, logAt(staging.tlogs, "https://rekor.sigstage.dev"))).rejects.toMatchObject(NOT_SIGNED);
    },
  );

  test("accepts an origin with a tree id, and one without", async () => {
    expect(await verify(noteOf(text, lineV1(log, "rekor.test", text)))).toEqual({
      origin: `rekor.test - ${TREE_ID}`,
      treeSize: 5n,
      rootHash: ROOT,
    });
    const plain = checkpointText("rekor.test", 5, ROOT);
    await verify(noteOf(plain, lineV1(log, "rekor.test", plain)));
  });

  test("finds the line by the key id alone, so that the key name need not be the log's host", async () => {
    const renamed = checkpointText("another.name:3000 - 1", 5, ROOT);
    await verify(noteOf(renamed, lineV1(log, "another.name:3000", renamed)));
  });

  test.for(["p384", "ed25519", "rsa"] as const)("accepts a log that signs with %s", async (kind) => {
    const other = makeLog(kind);
    await verify(noteOf(text, lineV1(other, "rekor.test", text)), other);
    await expect(verify(noteOf(text, lineV1(other, "rekor.test", `${text} `)), other)).rejects.toMatchObject(INVALID);
  });

  test("ignores the lines of others, before and after", async () => {
    const others = lineV1(stranger, "rekor.test", "something else");
    expect(await outcomeOf(verify(noteOf(text, others, lineV1(log, "rekor.test", text), others)))).toBe("accepted");
  });

  test("ignores a line with the log's key id and a name that is not in the origin, even if it is wrong", async () => {
    const collision = noteLine("bob.example", hintOf(log), log.key.sign("something else"));
    await verify(noteOf(text, collision, lineV1(log, "rekor.test", text)));
    await expect(verify(noteOf(text, noteLine("bob.example", hintOf(log), log.key.sign(text))))).rejects.toMatchObject(
      NOT_SIGNED,
    );
  });

  test.for([
    ["the signature of another key alone", noteOf(text, lineV1(stranger, "rekor.test", text)), NOT_SIGNED],
    ["an origin that only begins with the key name", checkpointNote("rekor.test.evil - 1"), NOT_SIGNED],
    ["an origin with something other than a tree id", checkpointNote("rekor.test - abc"), NOT_SIGNED],
    ["an origin with an empty tree id", checkpointNote("rekor.test - "), NOT_SIGNED],
    ["an origin with text after the tree id", checkpointNote("rekor.test - 1 x"), NOT_SIGNED],
    [
      "a signature over another text",
      noteOf(text, noteLine("rekor.test", hintOf(log), log.key.sign(`${text}more\n`))),
      INVALID,
    ],
    [
      "a signature of another key under the log's key id",
      noteOf(text, noteLine("rekor.test", hintOf(log), stranger.key.sign(text))),
      INVALID,
    ],
    [
      "a second line of the log that does not verify",
      noteOf(text, lineV1(log, "rekor.test", text), lineV1(log, "rekor.test", "x")),
      INVALID,
    ],
    [
      "something that is no checkpoint",
      noteOf("text\n", lineV1(log, "rekor.test", "text\n")),
      { code: "CHECKPOINT_MALFORMED" },
    ],
  ] as const)("rejects %s", async ([, note, error]) => {
    await expect(verify(note)).rejects.toMatchObject(error);
  });

  function checkpointNote(origin: string): string {
    const body = checkpointText(origin, 5, ROOT);
    return noteOf(body, lineV1(log, "rekor.test", body));
  }

  test("names the key id that was looked for, and those that are there", async () => {
    await expect(verify(noteOf(text, lineV1(stranger, "rekor.test", text)))).rejects.toMatchObject({
      expected: expect.stringContaining(Buffer.from(hintOf(log)).toString("hex")) as string,
      found: `rekor.test ${Buffer.from(hintOf(stranger)).toString("hex")}`,
    });
  });

  test("keeps its messages short, whatever is in the note", async () => {
    const origin = "o".repeat(100_000);
    const body = checkpointText(origin, 5, ROOT);
    const note = noteOf(
      body,
      ...Array.from({ length: 60 }, () => noteLine(origin.slice(0, 5000), hintOf(stranger), ROOT)),
    );
    const error: unknown = await verify(note).catch((caught: unknown) => caught);
    expect(error).toMatchObject(NOT_SIGNED);
    const { message, expected = "", found = "" } = error as SigstoreError;
    expect(`${message}${expected}${found}`.length).toBeLessThan(5000);
  });

  test("rejects a note with any bit of text or signature changed", async () => {
    const note = noteOf(text, lineV1(log, "rekor.test", text));
    await fc.assert(
      fc.asyncProperty(fc.nat(note.length - 1), fc.constantFrom("A", "b", "0", "\n", "=", ""), async (at, other) => {
        const changed = note.slice(0, at) + other + note.slice(at + 1);
        if (changed === note) return;
        expect(await outcomeOf((async () => await verify(changed))())).not.toBe("accepted");
      }),
      { numRuns: 300 },
    );
  });
});

describe("verifyCheckpoint for Rekor v2", () => {
  const log = makeLog("ed25519", "https://log2026.rekor.test");
  const stranger = makeLog("ed25519", "https://log2026.rekor.test");
  const NAME = "log2026.rekor.test";
  const text = checkpointText(NAME, 736, ROOT);
  const line = lineV2(log, NAME, text);
  const verify = (note: string, by: TransparencyLog = log) => verifyCheckpoint(parseSignedNote(note), by, 2, crypto);

  test("accepts the real checkpoint of a staging log, among cosignatures", async () => {
    const note = textFile("checkpoint/rekor-staging-three-witnesses.txt");
    const checkpoint = await verify(note, logAt(staging.tlogs, "https://log2025-alpha3.rekor.sigstage.dev"));
    expect(checkpoint).toMatchObject({ origin: "log2025-alpha3.rekor.sigstage.dev", treeSize: 4026479n });
    for (const other of ["https://log2025-alpha1.rekor.sigstage.dev", "https://rekor.sigstage.dev"]) {
      await expect(verify(note, logAt(staging.tlogs, other))).rejects.toMatchObject(NOT_SIGNED);
    }
  });

  test.for([
    ["https://log2026.rekor.test", "log2026.rekor.test"],
    ["https://log2026.rekor.test/", "log2026.rekor.test"],
    ["http://log2026.rekor.test", "log2026.rekor.test"],
    ["https://rekor.test/shards/2026", "rekor.test/shards/2026"],
    ["https://rekor.test/shards/2026", "rekor.test"],
    ["http://localhost:3003", "localhost:3003"],
    ["http://localhost:3003", "localhost"],
    ["http://[::1]:3003", "[::1]"],
  ] as const)("takes a log at %s for %s", async ([baseUrl, name]) => {
    const body = checkpointText(name, 736, ROOT);
    const other = { ...log, baseUrl };
    await verify(noteOf(body, lineV2(log, name, body)), other);
  });

  test.for([
    ["https://rekor.test", "rekor.test:443"],
    ["https://rekor.test/shards/2026", "rekor.test/shards"],
    ["https://user@rekor.test", "rekor.test"],
    ["https://evil.test?rekor.test", "rekor.test"],
    ["rekor.test", "rekor.test"],
    ["", ""],
  ] as const)("does not take a log at %j for %j", async ([baseUrl, name]) => {
    const body = checkpointText(name || "x", 736, ROOT);
    const note = noteOf(body, lineV2(log, name || "x", body));
    await expect(verify(note, { ...log, baseUrl })).rejects.toMatchObject(NOT_SIGNED);
  });

  test.for(["p256", "p384", "rsa", "ml-dsa-44"] as const)("accepts a log that signs with %s", async (kind: KeyKind) => {
    const other = makeLog(kind, "https://log2026.rekor.test");
    const { spki, keyBytes } = other.publicKey;
    const mlDsa = (time: bigint, message: Uint8Array): Uint8Array => {
      const stamp = Buffer.alloc(8);
      stamp.writeBigUInt64BE(time);
      return Buffer.concat([stamp, other.key.sign(message)]);
    };
    const [keyId, good, bad] = {
      p256: [hintOf(other), other.key.sign(text), other.key.sign("x")],
      p384: [hintOf(other), other.key.sign(text), other.key.sign("x")],
      rsa: [
        typedKeyId(NAME, 0xff, Buffer.concat([utf8("PKIX-RSA-PKCS#1v1.5"), spki])),
        other.key.sign(text),
        other.key.sign("x"),
      ],
      "ml-dsa-44": [
        typedKeyId(NAME, 6, keyBytes),
        mlDsa(1_700_000_000n, cosignedMessage(NAME, 1_700_000_000n, NAME, 736n, ROOT)),
        mlDsa(1_700_000_001n, cosignedMessage(NAME, 1_700_000_000n, NAME, 736n, ROOT)),
      ],
    }[kind as "p256"] as [Uint8Array, Uint8Array, Uint8Array];
    await verify(noteOf(text, noteLine(NAME, keyId, good)), other);
    await expect(verify(noteOf(text, noteLine(NAME, keyId, bad)), other)).rejects.toMatchObject(INVALID);
    await expect(verify(noteOf(text, noteLine(NAME, keyId, Uint8Array.of(1))), other)).rejects.toMatchObject(INVALID);
  });

  test("rejects a time of 2^63 or later beside the ML-DSA signature of a log", async () => {
    const other = makeLog("ml-dsa-44", "https://log2026.rekor.test");
    const keyId = typedKeyId(NAME, 6, other.publicKey.keyBytes);
    const stamped = (time: bigint): string => {
      const stamp = Buffer.alloc(8);
      stamp.writeBigUInt64BE(time);
      const signature = other.key.sign(cosignedMessage(NAME, time, NAME, 736n, ROOT));
      return noteLine(NAME, keyId, Buffer.concat([stamp, signature]));
    };
    expect(await outcomeOf(verify(noteOf(text, stamped(2n ** 63n - 1n)), other))).toBe("accepted");
    expect(await outcomeOf(verify(noteOf(text, stamped(2n ** 63n)), other))).toBe(INVALID.code);
  });

  test("ignores a line that matches the name alone, or the key id alone", async () => {
    const nameAlone = lineV2(stranger, NAME, "something else");
    const idAlone = noteLine(
      "witness.test",
      typedKeyId(NAME, 1, log.publicKey.keyBytes),
      log.key.sign("something else"),
    );
    await verify(noteOf(text, nameAlone, idAlone, line));
    await expect(verify(noteOf(text, lineV2(stranger, NAME, text)))).rejects.toMatchObject(NOT_SIGNED);
    const rightSignature = noteLine("witness.test", typedKeyId(NAME, 1, log.publicKey.keyBytes), log.key.sign(text));
    await expect(verify(noteOf(text, rightSignature))).rejects.toMatchObject(NOT_SIGNED);
  });

  test("does not take the key id that Rekor v1 would have", async () => {
    await expect(verify(noteOf(text, lineV1(log, NAME, text)))).rejects.toMatchObject(NOT_SIGNED);
  });

  test("does not know a log by a key type that signs no notes", async () => {
    const rsa = makeLog("rsa", "https://log2026.rekor.test");
    const pss = { ...rsa, publicKey: { ...rsa.publicKey, type: "rsa-pss" as const } };
    await expect(verify(noteOf(text, line), pss)).rejects.toMatchObject(NOT_SIGNED);
  });

  const otherOrigin = checkpointText("log2027.rekor.test", 736, ROOT);
  test.for([
    ["a signature over another text", noteOf(text, lineV2(log, NAME, `${text}more\n`))],
    ["the log's signature on the checkpoint of another origin", noteOf(otherOrigin, lineV2(log, NAME, otherOrigin))],
    ["a second line of the log that does not verify", noteOf(text, line, lineV2(log, NAME, "x"))],
  ] as const)("rejects %s", async ([, note]) => {
    await expect(verify(note)).rejects.toMatchObject(INVALID);
  });

  test("finds the log's line after 15 of others", async () => {
    const others = Array.from({ length: 15 }, (_, index) =>
      noteLine(`witness-${index}.test`, Uint8Array.of(index, 0, 0, 0), new Uint8Array(72)),
    );
    expect(await outcomeOf(verify(noteOf(text, ...others, line)))).toBe("accepted");
  });
});
