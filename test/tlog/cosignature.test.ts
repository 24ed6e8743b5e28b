import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defaultCryptoProvider } from "../../src/crypto/provider.ts";
import { SigstoreError } from "../../src/errors.ts";
import { parseWitnessKey, verifyCosignatures, type WitnessKey } from "../../src/tlog/cosignature.ts";
import { parseSignedNote } from "../../src/tlog/signed-note.ts";
import { textFile } from "../support/json-edits.ts";
import {
  base64,
  checkpointText,
  cosignedMessage,
  flip,
  makeKey,
  noteLine,
  noteOf,
  typedKeyId,
  type SigningKey,
} from "../support/logs.ts";

const crypto = defaultCryptoProvider();
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

const PUBLISHED = textFile("checkpoint/witnesses.txt").trim().split("\n");
const published = (keyId: string): string => {
  const vkey = PUBLISHED.find((line) => line.includes(`+${keyId}+`));
  if (vkey === undefined) throw new Error(`no witness ${keyId}`);
  return vkey;
};
const MULLVAD = published("67f7aea0");

describe("parseWitnessKey (C2SP tlog-cosignature, Format)", () => {
  test("reads the published keys of real witnesses", async () => {
    const keys = await Promise.all(PUBLISHED.map((vkey) => parseWitnessKey(vkey, crypto)));
    expect(keys.map(({ name, publicKey, keyId }) => [name, publicKey.type, hex(keyId)])).toEqual([
      ["witness.stagemole.eu", "ed25519", "67f7aea0"],
      ["staging.witness.transparency.goog/ring-any-bells", "ed25519", "2e1a8dc9"],
      ["witness.navigli.sunlight.geomys.org", "ed25519", "a3e00fe2"],
      ["witness.navigli.sunlight.geomys.org", "ml-dsa-44", "6bc44249"],
    ]);
  });

  test.for([
    ["is empty", ""],
    ["has no key", "witness.stagemole.eu+67f7aea0"],
    ["has no name", MULLVAD.replace("witness.stagemole.eu", "")],
    ["has a space in its name", MULLVAD.replace("witness.", "witness ")],
    ["has another name", MULLVAD.replace("witness.", "Witness.")],
    ["has another key id", MULLVAD.replace("67f7aea0", "67f7aea1")],
    ["has a key id of three bytes", MULLVAD.replace("67f7aea0", "67f7ae")],
    ["has a key id that is not hexadecimal", MULLVAD.replace("67f7aea0", "67f7aexx")],
    ["has another key", MULLVAD.replace("BEqSG3", "BEqSG4")],
    ["has a key that is not base64", `${MULLVAD}!`],
    ["has a key of no bytes", "witness.stagemole.eu+67f7aea0+"],
    ["has a key one byte short", keyOf("w.example", 4, new Uint8Array(31))],
    ["has an ML-DSA key one byte long", keyOf("w.example", 6, new Uint8Array(1313))],
    ["is a log's key, which makes plain signatures", keyOf("w.example", 1, new Uint8Array(32))],
    ["has an unknown signature type", keyOf("w.example", 7, new Uint8Array(32))],
    ["has a newline at its end", `${MULLVAD}\n`],
    ["has an empty name and the key id for it", keyOf("", 4, new Uint8Array(32))],
    ["has a space in its name and the key id for it", keyOf("w example", 4, new Uint8Array(32))],
  ] as const)("rejects a key that %s", async ([, vkey]) => {
    await expect(parseWitnessKey(vkey, crypto)).rejects.toMatchObject({ code: "COSIGNATURE_MALFORMED" });
  });

  test("refuses a key that the runtime cannot verify with, rather than to ignore the witness later", async () => {
    const without = { ...crypto, supports: () => false } as typeof crypto;
    await expect(parseWitnessKey(published("6bc44249"), without)).rejects.toMatchObject({
      code: "ALGORITHM_UNSUPPORTED",
    });
  });

  test("throws nothing but its own errors, and takes no key with a character changed", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(MULLVAD.length - 1),
        fc.constantFrom("", "A", "+", "/", "=", " ", "0", "é"),
        async (at, other) => {
          const changed = MULLVAD.slice(0, at) + other + MULLVAD.slice(at + 1);
          if (changed.toLowerCase() === MULLVAD.toLowerCase()) return; // hexadecimal digits have two cases
          await expect(parseWitnessKey(changed, crypto)).rejects.toBeInstanceOf(SigstoreError);
        },
      ),
      { numRuns: 300 },
    );
  });
});

function keyOf(name: string, type: number, key: Uint8Array): string {
  return `${name}+${hex(typedKeyId(name, type, key))}+${base64(Buffer.concat([Uint8Array.of(type), key]))}`;
}

const ROOT = new Uint8Array(32).fill(7);
const TEXT = checkpointText("example.com/log", 20852163, ROOT, "extension");
const TIME = 1679315147n; // that of the specification's example

function stamped(time: bigint, signature: Uint8Array): Uint8Array {
  const stamp = Buffer.alloc(8);
  stamp.writeBigUInt64BE(time);
  return Buffer.concat([stamp, signature]);
}

const ed25519Message = (time: bigint, text: string): string => `cosignature/v1\ntime ${time}\n${text}`;

interface Witness {
  readonly vkey: string;
  readonly key: SigningKey;
  readonly keyId: Uint8Array;
  /** Signs the checkpoint as the specification says, for a time. */
  readonly cosign: (time: bigint) => string;
}

function makeWitness(kind: "ed25519" | "ml-dsa-44", name: string): Witness {
  const key = makeKey(kind);
  const type = kind === "ed25519" ? 4 : 6;
  const keyId = typedKeyId(name, type, key.publicKey.keyBytes);
  const message = (time: bigint): Uint8Array | string =>
    kind === "ed25519" ? ed25519Message(time, TEXT) : cosignedMessage(name, time, "example.com/log", 20852163n, ROOT);
  return {
    vkey: keyOf(name, type, key.publicKey.keyBytes),
    key,
    keyId,
    cosign: (time) => noteLine(name, keyId, stamped(time, key.sign(message(time)))),
  };
}

const verify = async (note: string, ...vkeys: readonly string[]) => {
  const witnesses: readonly WitnessKey[] = await Promise.all(vkeys.map((vkey) => parseWitnessKey(vkey, crypto)));
  return await verifyCosignatures(parseSignedNote(note), witnesses, crypto);
};

describe("verifyCosignatures (C2SP tlog-cosignature)", () => {
  test("verifies the cosignatures of three real witnesses on a checkpoint of Rekor v2", async () => {
    const note = textFile("checkpoint/rekor-staging-three-witnesses.txt");
    const time = new Date("2026-05-13T19:23:34Z");
    expect(await verify(note, ...PUBLISHED)).toEqual([
      { witness: "witness.stagemole.eu", time },
      { witness: "staging.witness.transparency.goog/ring-any-bells", time },
      { witness: "witness.navigli.sunlight.geomys.org", time },
    ]);
    await expect(verify(note.replace("4026479", "4026480"), ...PUBLISHED)).rejects.toMatchObject({
      code: "COSIGNATURE_INVALID",
    });
  });

  test("verifies a real cosignature with ML-DSA-44, beside one with Ed25519 of the same witness", async () => {
    const note = textFile("checkpoint/witnessed-ed25519-and-ml-dsa-44.txt");
    const seen = { witness: "witness.navigli.sunlight.geomys.org", time: new Date("2026-08-02T21:04:51Z") };
    expect(await verify(note, published("6bc44249"), published("a3e00fe2"))).toEqual([seen, seen]);
    expect(await verify(note, published("6bc44249"))).toEqual([seen]);
    await expect(verify(note.replace("185550722", "185550723"), published("6bc44249"))).rejects.toMatchObject({
      code: "COSIGNATURE_INVALID",
    });
  });

  for (const kind of ["ed25519", "ml-dsa-44"] as const) {
    describe(`with ${kind}`, () => {
      const name = "witness.example.com/w1";
      const witness = makeWitness(kind, name);
      const stranger = makeWitness(kind, name);
      const line = witness.cosign(TIME);
      const { signature } = parseSignedNote(noteOf(TEXT, line)).signatures[0] ?? { signature: new Uint8Array() };

      test("gives the witness and its time", async () => {
        expect(await verify(noteOf(TEXT, line), witness.vkey)).toEqual([
          { witness: name, time: new Date("2023-03-20T12:25:47Z") },
        ]);
      });

      test("ignores the lines of unknown keys, though they have the name or the key id of a known one", async () => {
        const nameAlone = stranger.cosign(TIME);
        const idAlone = noteLine("other.example", witness.keyId, signature);
        expect(await verify(noteOf(TEXT, nameAlone, idAlone, line), witness.vkey)).toHaveLength(1);
        expect(await verify(noteOf(TEXT, nameAlone, idAlone), witness.vkey)).toEqual([]);
        expect(await verify(noteOf(TEXT, line))).toEqual([]);
      });

      test.for([
        ["a time changed by a second", stamped(TIME + 1n, signature.subarray(8))],
        ["one bit of the signature changed", flip(signature)],
        ["a signature of another key", stamped(TIME, signature.subarray(8)).fill(1, 8)],
        ["no time", signature.subarray(8)],
        ["nothing but a time", signature.subarray(0, 8)],
        ["less than a time", signature.subarray(0, 7)],
        ["a byte more", Buffer.concat([signature, Uint8Array.of(0)])],
      ] as const)("rejects a line of the witness with %s", async ([, bytes]) => {
        const note = noteOf(TEXT, noteLine(name, witness.keyId, bytes));
        await expect(verify(note, witness.vkey)).rejects.toMatchObject({ code: "COSIGNATURE_INVALID" });
      });

      test("rejects a second line of the witness that does not verify", async () => {
        const note = noteOf(TEXT, line, noteLine(name, witness.keyId, flip(signature)));
        await expect(verify(note, witness.vkey)).rejects.toMatchObject({ code: "COSIGNATURE_INVALID" });
      });

      test.for([2n ** 63n, 2n ** 63n - 1n, 253_402_300_800n])(
        "rejects a time that no date can tell: %d",
        async (time) => {
          await expect(verify(noteOf(TEXT, witness.cosign(time)), witness.vkey)).rejects.toMatchObject({
            code: "COSIGNATURE_INVALID",
          });
        },
      );

      test("does not count a cosignature without a time, but verifies it", async () => {
        expect(await verify(noteOf(TEXT, witness.cosign(0n)), witness.vkey)).toEqual([]);
        const wrong = noteLine(name, witness.keyId, stamped(0n, signature.subarray(8)));
        await expect(verify(noteOf(TEXT, wrong), witness.vkey)).rejects.toMatchObject({ code: "COSIGNATURE_INVALID" });
      });

      test("rejects the signature that is over the checkpoint itself, as a log makes it", async () => {
        const bare = stamped(TIME, witness.key.sign(TEXT));
        await expect(verify(noteOf(TEXT, noteLine(name, witness.keyId, bare)), witness.vkey)).rejects.toMatchObject({
          code: "COSIGNATURE_INVALID",
        });
      });
    });
  }

  test("covers extension lines with Ed25519, and leaves them out with ML-DSA, as each is specified", async () => {
    const changed = checkpointText("example.com/log", 20852163, ROOT, "other");
    const ed25519 = makeWitness("ed25519", "w.example");
    await expect(verify(noteOf(changed, ed25519.cosign(TIME)), ed25519.vkey)).rejects.toMatchObject({
      code: "COSIGNATURE_INVALID",
    });
    const mlDsa = makeWitness("ml-dsa-44", "w.example");
    expect(await verify(noteOf(changed, mlDsa.cosign(TIME)), mlDsa.vkey)).toHaveLength(1);
  });

  test("rejects an ML-DSA cosignature of a checkpoint whose origin is too long to be in the message", async () => {
    const witness = makeWitness("ml-dsa-44", "w.example");
    const origin = "o".repeat(256); // whose length in one byte would be 0
    const message = cosignedMessage("w.example", TIME, origin, 20852163n, ROOT);
    const line = noteLine("w.example", witness.keyId, stamped(TIME, witness.key.sign(message)));
    const note = noteOf(checkpointText(origin, 20852163, ROOT), line);
    await expect(verify(note, witness.vkey)).rejects.toMatchObject({ code: "COSIGNATURE_INVALID" });
  });

  test("rejects a cosignature on something that is no checkpoint", async () => {
    const witness = makeWitness("ed25519", "w.example");
    const text = "not a checkpoint\n";
    const note = noteOf(
      text,
      noteLine("w.example", witness.keyId, stamped(TIME, witness.key.sign(ed25519Message(TIME, text)))),
    );
    await expect(verify(note, witness.vkey)).rejects.toMatchObject({ code: "CHECKPOINT_MALFORMED" });
  });
});
