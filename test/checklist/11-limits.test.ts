import { describe, expect, test } from "vitest";
import { email, uri } from "../support/certificates.ts";
import { change, pick, type Json } from "../support/json-edits.ts";
import { base64, sha256 } from "../support/logs.ts";
import { outcomeOf } from "../support/outcome.ts";
import { ALICE, signerKeys } from "../support/sandbox/authorities.ts";
import { makeWitness } from "../support/sandbox/rekor.ts";
import {
  ARTIFACT,
  bundleFrom,
  edited,
  makeSandbox,
  statementAbout,
  verifyIn,
  type BundleOptions,
  type Demand,
  type SandboxBundle,
} from "../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const message = bundleFrom(sandbox);
const ask = (bundle: SandboxBundle, demand?: Demand): ReturnType<typeof outcomeOf> =>
  outcomeOf(verifyIn(sandbox, bundle, demand));
const outcome = (options: BundleOptions): ReturnType<typeof outcomeOf> => ask(bundleFrom(sandbox, options));

const ENTRIES = "verificationMaterial.tlogEntries";
const TIMESTAMPS = "verificationMaterial.timestampVerificationData.rfc3161Timestamps";
const repeat = <T>(count: number, item: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => item(index));

/** Entries of logs that nobody knows, which are set aside without any work. */
const strangers = (count: number): Json[] =>
  repeat(count, (index) =>
    change(
      change(pick(message.json, `${ENTRIES}.0`), "logId.keyId", base64(sha256(`log ${index}`))),
      "logIndex",
      `${index}`,
    ),
  );
const withEntries = (count: number): SandboxBundle =>
  edited(message, (json) => change(json, ENTRIES, [pick(json, `${ENTRIES}.0`), ...strangers(count - 1)]));
const withTimestamps = (count: number): SandboxBundle =>
  edited(message, (json) =>
    change(
      json,
      TIMESTAMPS,
      repeat(count, () => pick(json, `${TIMESTAMPS}.0`)),
    ),
  );

const subjects = (count: number): Json => statementAbout(...repeat(count - 1, (index) => sha256(`${index}`)), ARTIFACT);
const digests = (count: number): Json =>
  change(statementAbout(ARTIFACT), "subject.0.digest", {
    ...pick(statementAbout(ARTIFACT), "subject.0.digest"),
    ...Object.fromEntries(repeat(count - 1, (index) => [`other${index}`, "00"])),
  });
const deep = (depth: number): Json =>
  change(
    statementAbout(ARTIFACT),
    "predicate",
    repeat(depth, () => 0).reduce<unknown>((inner) => [inner], 0),
  );

describe("checklist 11: limits", () => {
  // The limits of src/limits.ts that a bundle can meet: at the limit it is verified, one beyond it is refused.
  test.each<[string, number, (count: number) => Promise<string>]>([
    ["log entries", 32, (count) => ask(withEntries(count))],
    ["timestamps", 32, (count) => ask(withTimestamps(count))],
    [
      "certificates of a chain",
      16,
      (count) => outcome({ version: "0.1", chain: repeat(count - 1, () => sandbox.ca.intermediate.der) }),
    ],
    ["subjects", 1024, (count) => outcome({ statement: subjects(count) })],
    ["digests of a subject", 32, (count) => outcome({ statement: digests(count) })],
    ["levels of JSON", 128, (count) => outcome({ statement: deep(count - 1) })],
    ["SCTs", 32, (count) => outcome({ signer: { request: { ctLogs: repeat(count, () => sandbox.ctLog) } } })],
    [
      "names",
      64,
      (count) =>
        outcome({
          signer: {
            request: { names: [...repeat(count - 1, (index) => uri(`https://example.com/${index}`)), email(ALICE)] },
          },
        }),
    ],
    [
      "lines of a checkpoint",
      64,
      (count) =>
        outcome({
          entries: [{ log: sandbox.rekor2, witnesses: repeat(count - 1, (index) => makeWitness(`witness${index}`)) }],
        }),
    ],
    [
      "keys of the caller",
      64,
      (count) => {
        const bundle = bundleFrom(sandbox, { signer: { keys: signerKeys() } });
        const { publicKey } = message;
        return ask(bundle, {
          policy: { keys: [...repeat(count - 1, () => ({ publicKey })), { publicKey: bundle.publicKey }] as never },
        });
      },
    ],
  ])("%s: at most %i", async (what, limit, make) => {
    expect(await make(limit)).toBe("accepted");
    expect(await make(limit + 1)).toBe(what === "keys of the caller" ? "USAGE_INVALID" : "LIMIT_EXCEEDED");
  });

  test.each([
    ["a signature", "messageSignature.signature", 16 * 1024],
    ["a certificate", "verificationMaterial.certificate.rawBytes", 64 * 1024],
    ["a timestamp", `${TIMESTAMPS}.0.signedTimestamp`, 256 * 1024],
    ["the body of a log entry", `${ENTRIES}.0.canonicalizedBody`, 1024 * 1024],
  ])("%s that is too large", async (_, path, limit) => {
    const sized = (bytes: number): SandboxBundle =>
      edited(message, (json) => change(json, path, base64(new Uint8Array(bytes))));
    expect(await ask(sized(limit))).not.toBe("LIMIT_EXCEEDED");
    expect(await ask(sized(limit + 1))).toBe("LIMIT_EXCEEDED");
  });

  test.each([
    ["hashes of an inclusion proof", `${ENTRIES}.0.inclusionProof.hashes`, 64, base64(new Uint8Array(32))],
    ["signatures of an envelope, of which a bundle has one", "dsseEnvelope.signatures", 1, { sig: "AA==" }],
  ])("%s: at most %i", async (_, path, limit, item) => {
    const bundle = path.startsWith("dsse") ? bundleFrom(sandbox, { statement: statementAbout(ARTIFACT) }) : message;
    const sized = (count: number): SandboxBundle =>
      edited(bundle, (json) =>
        change(
          json,
          path,
          repeat(count, () => item),
        ),
      );
    expect(await ask(sized(limit))).not.toMatch(/LIMIT_EXCEEDED|BUNDLE_MALFORMED/);
    expect(await ask(sized(limit + 1))).toMatch(/LIMIT_EXCEEDED|BUNDLE_MALFORMED/);
  });

  test("an artifact that pure Ed25519 needs whole is held up to a limit", async () => {
    const bundle = bundleFrom(sandbox, { signer: { keys: signerKeys("ed25519") }, entries: [], timestamps: [] });
    const demand = { options: { thresholds: { tlog: 0 } } };
    const stream = async function* (...chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
      yield* chunks;
    };
    expect(await ask(bundle, { ...demand, artifact: stream(ARTIFACT) })).toBe("accepted");
    // Never touched, so that it takes no memory.
    const huge = new Uint8Array(256 * 1024 * 1024 + 1);
    expect(await ask(bundle, { ...demand, artifact: stream(huge) })).toBe("FILE_TOO_LARGE");
  });
});
