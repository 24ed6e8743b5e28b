import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, expect, onTestFinished, test } from "vitest";
import type { HashAlgorithm } from "../../src/crypto/digest.ts";
import { verify as verifyFile } from "../../src/index.ts";
import type { Artifact } from "../../src/verify/artifact.ts";
import type { VerifiedBundle } from "../../src/verify/evidence.ts";
import { Verifier } from "../../src/verify/verifier.ts";
import { change, pick, without } from "../support/json-edits.ts";
import { outcomeOf } from "../support/outcome.ts";
import { REAL_ROOTS, realBundle, realBytes, realCase, realOptions, realPath, realPolicy } from "../support/real.ts";
import { signerKeys } from "../support/sandbox/authorities.ts";
import { bundleFrom, makeSandbox, statementAbout, verifyIn } from "../support/sandbox/sandbox.ts";

const HELLO = realBytes("artifacts/hello.txt");
const WORLD = realBytes("artifacts/world.txt");

async function ask(name: string, artifact: Artifact): Promise<VerifiedBundle> {
  const one = realCase(name);
  const verifier = await Verifier.create(REAL_ROOTS[one.root], realOptions(one));
  return await verifier.verify(realBytes(one.bundle), artifact, realPolicy(one));
}

const digest = (algorithm: HashAlgorithm, data: Uint8Array): { algorithm: HashAlgorithm; value: Uint8Array } => ({
  algorithm,
  value: new Uint8Array(createHash(algorithm).update(data).digest()),
});

async function* chunksOf(data: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
}

/** Gives every chunk in one and the same buffer, as streams may. */
async function* reusedBuffer(data: Uint8Array): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(4);
  for (let at = 0; at < data.length; at += buffer.length) {
    const chunk = data.subarray(at, at + buffer.length);
    buffer.set(chunk);
    yield buffer.subarray(0, chunk.length);
  }
}

const webStream = (data: Uint8Array): ReadableStream<Uint8Array> => new Blob([Uint8Array.from(data)]).stream();

/** A stream as some browsers have it, which cannot be iterated. */
const plainStream = (data: Uint8Array): ReadableStream<Uint8Array> => {
  const stream = webStream(data);
  return { getReader: () => stream.getReader() } as ReadableStream<Uint8Array>;
};

const FORMS: readonly (readonly [string, (data: Uint8Array) => Artifact])[] = [
  ["bytes", (data) => data],
  ["a Buffer", (data) => Buffer.from(data)],
  ["a view of a larger buffer", (data) => Uint8Array.from([9, 9, ...data, 9]).subarray(2, 2 + data.length)],
  ["an iterable of one chunk", (data) => chunksOf(data, data.length)],
  ["an iterable of single bytes", (data) => chunksOf(data, 1)],
  ["an iterable that uses its buffer again", reusedBuffer],
  ["a web stream", webStream],
  ["a web stream that cannot be iterated", plainStream],
  ["a stream of Node", (data) => Readable.from(chunksOf(data, 3))],
];

// One bundle for each way in which an artifact is read: at once, digested, in two algorithms, or whole for pure Ed25519.
const BUNDLES = [
  "a/blob-v1-email",
  "a/blob-v2-email-p384",
  "a/blob-v1-email-rsa2048",
  "a/blob-v2-key-ed25519",
  "a/blob-none-key-ed25519",
  "a/attestation-v1-email",
  "a/attestation-v2-email-statement-sha512-only",
];

describe("an artifact", () => {
  describe.each(BUNDLES)("of %s", (name) => {
    test.each(FORMS)("is read as %s", async (_, form) => {
      expect(await outcomeOf(ask(name, form(HELLO)))).toBe("accepted");
      expect(await outcomeOf(ask(name, form(WORLD)))).not.toBe("accepted");
      expect(await outcomeOf(ask(name, form(HELLO.subarray(0, -1))))).not.toBe("accepted");
    });

    test("gives the same evidence in every form", async () => {
      const ofBytes = await ask(name, HELLO);
      for (const [, form] of FORMS) expect(await ask(name, form(HELLO))).toEqual(ofBytes);
    });

    test("is the right one even where its stream is empty or wrong at the start only", async () => {
      expect(await outcomeOf(ask(name, chunksOf(new Uint8Array(), 1)))).not.toBe("accepted");
      expect(await outcomeOf(ask(name, chunksOf(Uint8Array.from([0, ...HELLO]), 4)))).not.toBe("accepted");
    });
  });

  describe("by its digest alone", () => {
    const KEYS: readonly (readonly [string, HashAlgorithm])[] = [
      ["a/blob-v1-email", "sha256"],
      ["a/blob-v2-email", "sha256"],
      ["a/blob-v1-email-p384", "sha384"],
      ["a/blob-v2-email-p521", "sha512"],
      ["a/blob-v1-email-rsa2048", "sha256"],
      ["a/blob-v2-email-rsa3072", "sha256"],
      ["a/blob-v1-email-rsa4096", "sha256"],
      ["a/blob-none-key-p256", "sha256"],
      ["a/blob-none-key-p384", "sha384"],
      ["a/blob-v1-key-ed25519", "sha512"],
      ["a/blob-v2-key-ed25519", "sha512"],
    ];

    test.each(KEYS)("%s: %s", async (name, algorithm) => {
      const { content } = await ask(name, { digests: [digest(algorithm, HELLO)] });
      expect(content).toEqual({ kind: "artifact", digest: digest(algorithm, HELLO) });
      expect(await outcomeOf(ask(name, { digests: [digest(algorithm, WORLD)] }))).toBe("ARTIFACT_DIGEST_MISMATCH");
    });

    test.each(KEYS)("%s: another algorithm than %s is an error of its own", async (name, algorithm) => {
      for (const other of ["sha256", "sha384", "sha512"] as const) {
        if (other === algorithm) continue;
        expect(await outcomeOf(ask(name, { digests: [digest(other, HELLO)] })), other).toBe(
          "DIGEST_ALGORITHM_MISMATCH",
        );
        expect(
          await outcomeOf(ask(name, { digests: [digest(other, HELLO), digest(algorithm, HELLO)] })),
          `${other} too`,
        ).toBe("accepted");
      }
    });

    test("does not do for pure Ed25519, which signs the artifact itself", async () => {
      for (const algorithm of ["sha256", "sha384", "sha512"] as const) {
        expect(
          await outcomeOf(ask("a/blob-none-key-ed25519", { digests: [digest(algorithm, HELLO)] })),
          algorithm,
        ).toBe("DIGEST_ONLY_UNSUPPORTED");
      }
    });

    test("does for Ed25519ph, where a wrong signature is wrong", async () => {
      const one = realCase("a/blob-v2-key-ed25519");
      const pure = pick(realBundle("a/blob-none-key-ed25519"), "messageSignature.signature");
      const mixed = change(
        change(realBundle(one.name), "messageSignature.signature", pure),
        "verificationMaterial.tlogEntries",
        [],
      );
      const text = JSON.stringify(without(mixed, "verificationMaterial.timestampVerificationData"));
      const verifier = await Verifier.create(REAL_ROOTS.a, { thresholds: { tlog: 0 } });
      expect(await outcomeOf(verifier.verify(text, { digests: [digest("sha512", HELLO)] }, realPolicy(one)))).toBe(
        "SIGNATURE_INVALID",
      );
      expect(
        await outcomeOf(verifier.verify(text, HELLO, realPolicy(one))),
        "with the artifact it is pure Ed25519",
      ).toBe("accepted");
    });

    test.each([
      ["too short", { algorithm: "sha256", value: new Uint8Array(31) }],
      ["of another algorithm's length", { algorithm: "sha256", value: new Uint8Array(64) }],
      ["empty", { algorithm: "sha512", value: new Uint8Array() }],
      ["of an algorithm that does not bind", { algorithm: "sha1", value: new Uint8Array(20) }],
      ["of no algorithm", { algorithm: "constructor", value: new Uint8Array(32) }],
    ])("refuses one that is %s", async (_, wrong) => {
      for (const name of ["a/blob-v1-email", "a/attestation-v1-email"]) {
        expect(await outcomeOf(ask(name, { digests: [wrong as never] }))).toBe("USAGE_INVALID");
      }
    });

    test("of a statement's subject", async () => {
      const { content } = await ask("a/attestation-v2-email-statement-several-digests", {
        digests: [digest("sha512", HELLO)],
      });
      expect(content).toMatchObject({ kind: "statement", subject: { digest: digest("sha512", HELLO) } });
    });
  });

  describe("unsafe-any", () => {
    test("compares no subject, and says so", async () => {
      const { content, unproven, checks } = await ask("a/attestation-v1-email", "unsafe-any");
      expect(content).toMatchObject({ kind: "statement", subject: undefined });
      expect(unproven).toEqual([
        { what: "subject", reason: "the caller gave no artifact to compare the subjects with" },
      ]);
      expect(checks.find(({ name }) => name === "statement.subject")).toMatchObject({ outcome: "skipped" });
    });

    test("is no artifact of a message signature", async () => {
      expect(await outcomeOf(ask("a/blob-v1-email", "unsafe-any"))).toBe("USAGE_INVALID");
    });
  });

  describe("as a file", () => {
    const one = realCase("a/blob-v1-email");
    const options = { ...realPolicy(one), trust: REAL_ROOTS.a };
    const bundle = { path: realPath(one.bundle) };

    test("is read from its path, as the bundle and the trusted root are", async () => {
      const ofFiles = await verifyFile(
        bundle,
        { path: realPath(one.artifact) },
        { ...options, trust: { path: realPath("a/trusted_root.json") } },
      );
      expect(ofFiles).toEqual({
        ...(await ask(one.name, HELLO)),
        trust: { kind: "file", path: realPath("a/trusted_root.json") },
      });
      expect(await verifyFile(realBytes(one.bundle), HELLO, options)).toEqual(await ask(one.name, HELLO));
    });

    test.each([
      ["another file", realPath("artifacts/world.txt"), "ARTIFACT_DIGEST_MISMATCH"],
      ["no file", realPath("artifacts/none.txt"), "FILE_NOT_FOUND"],
      ["a folder", realPath("artifacts"), "FILE_IS_DIRECTORY"],
    ])("%s is refused", async (_, path, code) => {
      expect(await outcomeOf(verifyFile(bundle, { path }, options))).toBe(code);
    });

    test("beyond what is kept in memory is streamed", async () => {
      const folder = mkdtempSync(join(tmpdir(), "cosign-ts-test-"));
      onTestFinished(() => rmSync(folder, { recursive: true }));
      const path = join(folder, "large");
      const large = new Uint8Array(8 * 1024 * 1024 + 1).fill(7);
      writeFileSync(path, large);
      const sandbox = makeSandbox();
      const { text, publicKey } = bundleFrom(sandbox, {
        artifact: large,
        signer: { keys: signerKeys() },
        entries: [],
        timestamps: [],
      });
      const bare = { keys: [{ publicKey }], thresholds: { tlog: 0 }, trust: REAL_ROOTS.a } as const;
      expect(await outcomeOf(verifyFile(text, { path }, bare))).toBe("accepted");
      writeFileSync(path, large.fill(8, -1));
      expect(await outcomeOf(verifyFile(text, { path }, bare))).toBe("ARTIFACT_DIGEST_MISMATCH");
    });
  });

  test("is no subject of a statement that has no digest which binds", async () => {
    const sandbox = makeSandbox();
    const statement = { ...statementAbout(), subject: [{ digest: { sha1: "00" } }] };
    for (const artifact of [HELLO, chunksOf(HELLO, 1), { digests: [digest("sha256", HELLO)] } as const]) {
      expect(await outcomeOf(verifyIn(sandbox, bundleFrom(sandbox, { statement }), { artifact }))).toBe(
        "SUBJECT_MISMATCH",
      );
    }
  });
});
