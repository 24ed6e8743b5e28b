import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseBundle, parseBundleObject, type Bundle } from "../../src/bundle/bundle.ts";
import { defaultCryptoProvider } from "../../src/crypto/provider.ts";
import type { JsonValue } from "../../src/encoding/json.ts";
import { SigstoreError } from "../../src/errors.ts";
import { generationOf, parseEntryBody, verifyEntryBody, type EntryExpectation } from "../../src/tlog/entry-body.ts";
import { verifyInclusionPromise } from "../../src/tlog/inclusion-promise.ts";
import { verifyInclusionProof } from "../../src/tlog/inclusion.ts";
import type { TransparencyLogEntry } from "../../src/tlog/transparency-log-entry.ts";
import { parseTrustedRoot, type TrustedRoot } from "../../src/trust/trusted-root.ts";
import { change, textFile, without } from "../support/json-edits.ts";
import { expectationOf, LOGGED, loggedBundle, withBody } from "../support/logged-bundles.ts";
import { outcomeOf, utf8 } from "../support/logs.ts";
import { sharedAvailable, sharedDir } from "../support/shared.ts";

const crypto = defaultCryptoProvider();

/** Verifies everything that a log says about an entry, as a bundle's verifier does. */
async function verifyEntry(entry: TransparencyLogEntry, root: TrustedRoot, expected: EntryExpectation): Promise<void> {
  const generation = generationOf(entry.kindVersion);
  if (generation === undefined) throw new Error("unknown kind");
  const log = root.tlogs.find(({ logId }) => Buffer.from(logId).equals(entry.logId));
  if (log === undefined) throw new Error("unknown log");
  if (entry.inclusionPromise !== undefined) await verifyInclusionPromise(entry, log, crypto);
  await verifyInclusionProof(entry, log, generation, crypto);
  await verifyEntryBody(parseEntryBody(entry), entry, expected, crypto);
}

describe("entries that real logs made", () => {
  test.for(LOGGED)("%s: promise, proof, checkpoint and body hold", async (name) => {
    const { entry, expected, root } = loggedBundle(name);
    expect(await outcomeOf(verifyEntry(entry, parseTrustedRoot(textFile(root)), expected))).toBe("accepted");
  });

  test("are about their own bundle, and about no other", async () => {
    const bundles = [
      "a/blob-v1-email",
      "a/blob-v1-email-again",
      "a/blob-v1-email-world",
      "a/blob-v1-key-p256",
      "a/blob-v2-email",
      "a/blob-v2-key-p256",
      "a/attestation-v1-email",
      "a/attestation-v1-key-p256",
      "a/attestation-v2-email",
      "a/attestation-v2-key-p256",
    ].map(loggedBundle);
    for (const one of bundles) {
      for (const other of bundles) {
        const outcome = await outcomeOf(verifyEntryBody(parseEntryBody(one.entry), one.entry, other.expected, crypto));
        const names = [one.name, other.name];
        expect([...names, outcome]).toEqual([...names, one === other ? "accepted" : "TLOG_ENTRY_MISMATCH"]);
      }
    }
  });
});

const CONFORMANCE = join(sharedDir, "conformance");
const read = (...path: readonly string[]): Buffer => readFileSync(join(CONFORMANCE, ...path));

describe.skipIf(!sharedAvailable())("entries of the conformance bundles (client specification §4.2.2, §4.4)", () => {
  /** Cases whose fault is what the log says. All others hold here: their fault is elsewhere. */
  const FAULTS: Readonly<Record<string, string>> = {
    "checkpoint-wrong-roothash_fail": "TLOG_INCLUSION_PROOF_INVALID",
    "dsse-invalid-sig_fail": "TLOG_ENTRY_MISMATCH",
    "dsse-mismatch-envelope_fail": "TLOG_ENTRY_MISMATCH",
    "invalid-inclusion-proof_fail": "TLOG_INCLUSION_PROOF_INVALID",
    "rekor2-checkpoint-missing-log-signature_fail": "SIGNED_NOTE_MALFORMED",
    "set-invalid-signature_fail": "TLOG_INCLUSION_PROMISE_INVALID",
    "signature-mismatch_fail": "TLOG_ENTRY_MISMATCH",
    "wrong-hashedrekord-entry_fail": "TLOG_ENTRY_MISMATCH",
    "wrong-material_fail": "TLOG_ENTRY_MISMATCH",
  };
  const cases = sharedAvailable()
    ? readdirSync(join(CONFORMANCE, "bundle-verify"), { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => name)
        // No bundle, and a key that is none.
        .filter((name) => !name.startsWith("bundle-") && name !== "managed-key-wrong-key_fail")
        .sort()
    : [];

  test.for(cases)("%s", async (name) => {
    const file = (path: string): Buffer | undefined =>
      existsSync(join(CONFORMANCE, "bundle-verify", name, path)) ? read("bundle-verify", name, path) : undefined;
    const bundle = parseBundle(read("bundle-verify", name, "bundle.sigstore.json"));
    const root = parseTrustedRoot(file("trusted_root.json") ?? read("trusted-roots", "production.trusted_root.json"));
    const artifact = file("artifact") ?? read("bundle-verify", "a.txt");
    const expected = expectationOf(bundle, artifact, file("key.pub")?.toString(), undefined);
    for (const entry of bundle.verificationMaterial.tlogEntries) {
      expect(await outcomeOf(verifyEntry(entry, root, expected))).toBe(FAULTS[name] ?? "accepted");
    }
    expect(bundle.verificationMaterial.tlogEntries.length).toBeGreaterThan(0);
  });

  interface CorpusCase {
    readonly name: string;
    readonly bundle: string;
    readonly attestation?: number;
    readonly artifact?: string;
    readonly key?: string;
    readonly trustedRoot?: string;
  }
  const corpus = sharedAvailable()
    ? (JSON.parse(read("corpus", "cases.json").toString()) as { cases: readonly CorpusCase[] }).cases
    : [];

  test.for(corpus.map((one) => [one.name, one] as const))("corpus %s", async ([, one]) => {
    const text = read("corpus", one.bundle).toString();
    const bundle: Bundle =
      one.attestation === undefined
        ? parseBundle(text.trim())
        : parseBundleObject(
            (JSON.parse(text) as { attestations: { bundle: JsonValue }[] }).attestations[one.attestation]?.bundle ??
              null,
          );
    const root = parseTrustedRoot(read("corpus", one.trustedRoot ?? "../trusted-roots/production.trusted_root.json"));
    const artifact = one.artifact === undefined ? new Uint8Array() : read("corpus", one.artifact);
    const expected = expectationOf(bundle, artifact, one.key && read("corpus", one.key).toString(), undefined);
    for (const entry of bundle.verificationMaterial.tlogEntries) await verifyEntry(entry, root, expected);
    expect(bundle.verificationMaterial.tlogEntries.length).toBeGreaterThan(0);
  });
});

describe("generationOf", () => {
  test.for([
    ["hashedrekord", "0.0.1", 1],
    ["dsse", "0.0.1", 1],
    ["intoto", "0.0.2", 1],
    ["rekord", "0.0.1", 1],
    ["hashedrekord", "0.0.2", 2],
    ["dsse", "0.0.2", 2],
    ["intoto", "0.0.1", undefined],
    ["rekord", "0.0.2", undefined],
    ["hashedrekord", "0.0.3", undefined],
    ["hashedrekord 0.0.1", "", undefined],
    ["", "", undefined],
    ["__proto__", "", undefined],
  ] as const)("%s %s is %s", ([kind, version, generation]) => {
    expect(generationOf({ kind, version })).toBe(generation);
  });
});

describe("parseEntryBody (client specification §4.4)", () => {
  const v1 = loggedBundle("a/blob-v1-email").entry;
  const v2 = loggedBundle("a/blob-v2-email").entry;
  const bodyOf = (text: string): TransparencyLogEntry => ({ ...v1, canonicalizedBody: utf8(text) });

  test.for<readonly [string, TransparencyLogEntry]>([
    ["another kind", { ...v1, kindVersion: { kind: "dsse", version: "0.0.1" } }],
    ["another version", { ...v1, kindVersion: { kind: "hashedrekord", version: "0.0.2" } }],
    ["another version, of the later generation", { ...v2, kindVersion: { kind: "hashedrekord", version: "0.0.1" } }],
    ["no kind", { ...v1, kindVersion: { kind: "", version: "" } }],
  ])("rejects a body whose entry is labelled with %s", ([, entry]) => {
    expect(() => parseEntryBody(entry)).toThrow(expect.objectContaining({ code: "TLOG_ENTRY_MISMATCH" }));
  });

  test.for([
    ["intoto", "0.0.1"],
    ["intoto", "0.0.3"],
    ["hashedrekord", "0.0.3"],
    ["rekord", "0.0.2"],
    ["alpine", "0.0.1"],
  ])("refuses %s %s, which it does not know or which proves nothing", ([kind = "", version = ""]) => {
    const entry = withBody({ ...v1, kindVersion: { kind, version } }, (body) => ({
      ...body,
      kind,
      apiVersion: version,
    }));
    expect(() => parseEntryBody(entry)).toThrow(expect.objectContaining({ code: "TLOG_ENTRY_KIND_UNSUPPORTED" }));
  });

  test.for([
    ["nothing", bodyOf(""), "TLOG_ENTRY_MALFORMED"],
    ["no JSON", bodyOf("{"), "TLOG_ENTRY_MALFORMED"],
    ["no UTF-8", { ...v1, canonicalizedBody: Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d) }, "TLOG_ENTRY_MALFORMED"],
    ["a list", bodyOf("[]"), "TLOG_ENTRY_MALFORMED"],
    ["no kind", withBody(v1, (body) => without(body, "kind")), "TLOG_ENTRY_MALFORMED"],
    ["no version", withBody(v1, (body) => without(body, "apiVersion")), "TLOG_ENTRY_MALFORMED"],
    ["no spec", withBody(v1, (body) => without(body, "spec")), "TLOG_ENTRY_MALFORMED"],
    ["a kind that is no string", withBody(v1, (body) => change(body, "kind", 1)), "TLOG_ENTRY_MALFORMED"],
    ["a spec that is no object", withBody(v1, (body) => change(body, "spec", "x")), "TLOG_ENTRY_MALFORMED"],
    [
      "a field twice",
      bodyOf('{"kind":"hashedrekord","kind":"hashedrekord","apiVersion":"0.0.1","spec":{}}'),
      "JSON_DUPLICATE_KEY",
    ],
    ["more bytes than the limit", { ...v1, canonicalizedBody: new Uint8Array(17 * 1024 * 1024) }, "LIMIT_EXCEEDED"],
    ["deep nesting", bodyOf(`{"a":${"[".repeat(1000)}${"]".repeat(1000)}}`), "LIMIT_EXCEEDED"],
  ] as const)("rejects a body with %s", ([, entry, code]) => {
    expect(() => parseEntryBody(entry)).toThrow(expect.objectContaining({ code }));
  });

  test("ignores an unknown field in a body of Rekor v1", () => {
    expect(parseEntryBody(withBody(v1, (body) => ({ ...body, extra: 1 })))).toEqual(parseEntryBody(v1));
  });

  test("refuses an unknown field in a body of Rekor v2", () => {
    const entry = withBody(v2, (body) => ({ ...body, extra: 1 }));
    expect(() => parseEntryBody(entry)).toThrow(expect.objectContaining({ code: "TLOG_ENTRY_MALFORMED" }));
  });

  const kinds = [
    "a/blob-v1-email",
    "a/blob-v1-key-p384",
    "a/attestation-v1-email",
    "a/blob-v2-email",
    "a/attestation-v2-key-ed25519",
  ];
  test.for(kinds)("takes no byte changed or cut off in %s for the same entry", async (name) => {
    const { entry, expected } = loggedBundle(name);
    const { canonicalizedBody: body } = entry;
    const valid = parseEntryBody(entry);
    await verifyEntryBody(valid, entry, expected, crypto);
    await fc.assert(
      fc.asyncProperty(fc.nat(body.length - 1), fc.nat(255), fc.boolean(), async (at, value, cut) => {
        if (!cut && body[at] === value) return;
        const changed = { ...entry, canonicalizedBody: cut ? body.subarray(0, at) : body.with(at, value) };
        try {
          const parsed = parseEntryBody(changed);
          await verifyEntryBody(parsed, changed, expected, crypto);
          // A body of Rekor v1 may say other things besides, such as the hash of the envelope, or write the same in another way.
          expect(name).toContain("-v1-");
          expect(parsed).toEqual(valid);
        } catch (error) {
          expect(error).toBeInstanceOf(SigstoreError);
        }
      }),
      { numRuns: 400 },
    );
  });
});
