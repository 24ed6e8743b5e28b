import { describe, expect, test } from "vitest";
import { parseBundle } from "../../src/bundle/bundle.ts";
import { defaultCryptoProvider } from "../../src/crypto/provider.ts";
import { verifyInclusionPromise } from "../../src/tlog/inclusion-promise.ts";
import type { TransparencyLogEntry } from "../../src/tlog/transparency-log-entry.ts";
import { parseTrustedRoot } from "../../src/trust/trusted-root.ts";
import { textFile } from "../support/json-edits.ts";
import { flip, logEntry, makeLog, utf8, withPromise } from "../support/logs.ts";

const crypto = defaultCryptoProvider();
const [rekor, rekor2] = parseTrustedRoot(textFile("trusted-root/production.trusted_root.json")).tlogs;
if (rekor === undefined || rekor2 === undefined) throw new Error("no log");

function entryOf(bundle: string): TransparencyLogEntry {
  const [entry] = parseBundle(textFile(`bundle/${bundle}.sigstore.json`)).verificationMaterial.tlogEntries;
  if (entry === undefined) throw new Error("no entry");
  return entry;
}

const INVALID = { code: "TLOG_INCLUSION_PROMISE_INVALID" };

describe("verifyInclusionPromise (client specification §4.2.2)", () => {
  const valid = entryOf("v0.1-chain-promise-and-proof");

  test("gives the integrated time of a real entry", async () => {
    expect(await verifyInclusionPromise(valid, rekor, crypto)).toEqual(new Date("2023-07-12T15:56:36Z"));
  });

  test.for(["v0.3-certificate-rekor-v1", "v0.3-dsse-certificate", "v0.3-public-key", "v0.2-npm-publish-key-hint"])(
    "accepts the real entry of %s",
    async (bundle) => {
      const entry = entryOf(bundle);
      expect(await verifyInclusionPromise(entry, rekor, crypto)).toEqual(new Date(Number(entry.integratedTime) * 1000));
    },
  );

  test.for<readonly [string, (entry: TransparencyLogEntry) => TransparencyLogEntry]>([
    ["an integrated time one second later", (entry) => ({ ...entry, integratedTime: entry.integratedTime + 1n })],
    ["another index", (entry) => ({ ...entry, logIndex: entry.logIndex + 1n })],
    ["another body", (entry) => ({ ...entry, canonicalizedBody: flip(entry.canonicalizedBody) })],
    [
      "one bit of the signature changed",
      (entry) => ({ ...entry, inclusionPromise: flip(entry.inclusionPromise ?? utf8("")) }),
    ],
    ["an empty signature", (entry) => ({ ...entry, inclusionPromise: new Uint8Array() })],
    ["another log id", (entry) => ({ ...entry, logId: flip(entry.logId) })],
    ["an index beyond what the JSON could tell", (entry) => ({ ...entry, logIndex: 2n ** 53n })],
    ["a time beyond what a date can tell", (entry) => ({ ...entry, integratedTime: 2n ** 53n })],
  ])("rejects an entry with %s", async ([, change]) => {
    await expect(verifyInclusionPromise(change(valid), rekor, crypto)).rejects.toMatchObject(INVALID);
  });

  test("rejects the promise of another log, even where both logs claim one id", async () => {
    const impostor = { ...makeLog("p256"), logId: rekor.logId };
    await expect(verifyInclusionPromise(valid, impostor, crypto)).rejects.toMatchObject(INVALID);
    await expect(verifyInclusionPromise(valid, rekor2, crypto)).rejects.toMatchObject(INVALID);
  });

  test("says so where there is none", async () => {
    const { inclusionPromise: _, ...without } = valid;
    await expect(verifyInclusionPromise(without, rekor, crypto)).rejects.toMatchObject({
      code: "TLOG_INCLUSION_PROMISE_MISSING",
    });
  });

  describe("of a log made here", () => {
    const log = makeLog("p384");
    const entry = logEntry(log, 1, utf8("body"));

    test("accepts its signature", async () => {
      expect(await verifyInclusionPromise(withPromise(entry, log, 1_700_000_000n), log, crypto)).toEqual(
        new Date("2023-11-14T22:13:20Z"),
      );
    });

    test("proves no time where it covers time zero, which means that there is none", async () => {
      await expect(verifyInclusionPromise(withPromise(entry, log, 0n), log, crypto)).rejects.toMatchObject(INVALID);
    });

    test.for([253_402_300_800n, 2n ** 63n - 1n])("proves no time that a date cannot tell: %d", async (time) => {
      await expect(verifyInclusionPromise(withPromise(entry, log, time), log, crypto)).rejects.toMatchObject(INVALID);
    });

    test("proves nothing where the root knows the key under another log id", async () => {
      const renamed = { ...log, logId: flip(log.logId) };
      const signed = withPromise(entry, log, 1_700_000_000n);
      await expect(verifyInclusionPromise(signed, renamed, crypto)).rejects.toMatchObject(INVALID);
    });

    test("proves nothing for an entry of Rekor v2", async () => {
      const v2 = { ...entry, kindVersion: { kind: "hashedrekord", version: "0.0.2" } };
      await expect(verifyInclusionPromise(withPromise(v2, log, 1_700_000_000n), log, crypto)).rejects.toMatchObject(
        INVALID,
      );
    });

    test("does not read an index as another that the same double stands for", async () => {
      const signed = withPromise({ ...entry, logIndex: 2n ** 53n }, log, 1_700_000_000n);
      await expect(verifyInclusionPromise(signed, log, crypto)).rejects.toMatchObject(INVALID);
    });
  });
});
