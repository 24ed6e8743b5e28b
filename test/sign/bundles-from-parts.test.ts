import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { assembleBundle, parseLegacyBundle } from "../../src/bundle/legacy.ts";
import { parseBundle, serializeBundle, type Bundle } from "../../src/bundle/bundle.ts";
import { parsePublicKeyPem } from "../../src/crypto/public-key.ts";
import { createBundle, type CreateBundleOptions } from "../../src/sign/create-bundle.ts";
import { upgradeBundle, type UpgradeOptions } from "../../src/sign/upgrade-bundle.ts";
import { fakeRekor } from "../support/fake-rekor.ts";
import { change, type Json } from "../support/json-edits.ts";
import { legacyReal } from "../support/legacy.ts";
import { REAL_ROOTS, realBundle, realBytes, realCase, realPath } from "../support/real.ts";

const KEYLESS = "a/blob-v1-email";
const KEYED = "a/blob-v1-key-p256";
const parts = (name: string): ReturnType<typeof parseLegacyBundle> =>
  parseLegacyBundle(JSON.stringify(legacyReal(name).bundle));
const code = (value: string): unknown => expect.objectContaining({ code: value }) as unknown;
const expectSame = (bundle: Bundle, name: string): void => {
  const { timestampVerificationData: _, ...material } = realBundle(name)["verificationMaterial"] as Json;
  expect(JSON.parse(serializeBundle(bundle))).toEqual({ ...realBundle(name), verificationMaterial: material });
};

describe("createBundle", () => {
  const create = (name: string, options: Partial<CreateBundleOptions> = {}, artifact?: Uint8Array): Promise<Bundle> =>
    createBundle(parts(name), artifact ?? realBytes(realCase(name).artifact), {
      log: { rekorUrl: "https://log.example.com", trustedRoot: REAL_ROOTS.a },
      fetch: fakeRekor([KEYLESS, KEYED]).fetch,
      timeoutMs: 10_000,
      retries: 0,
      ...options,
    });
  const publicKey = parsePublicKeyPem(readFileSync(realPath("keys/p256.pub"), "utf8"));

  test("makes of the parts the bundle that they were taken from", async () => {
    expectSame(await create(KEYLESS), KEYLESS);
    expectSame(await create(KEYED, { publicKey }), KEYED);
    expect((await create(KEYLESS)).version).toBe("0.3");
  });

  test("takes a key from nobody but the caller", async () => {
    await expect(create(KEYED)).rejects.toThrow(code("USAGE_INVALID"));
    const other = parsePublicKeyPem(readFileSync(realPath("keys/p256-other.pub"), "utf8"));
    await expect(create(KEYED, { publicKey: other })).rejects.toThrow(code("KEY_HINT_MISMATCH"));
    await expect(create(KEYLESS, { publicKey })).rejects.toThrow(code("SIGNER_KIND_MISMATCH"));
  });

  test("refuses another artifact, and a log that the root does not know, before and after it asks", async () => {
    const log = fakeRekor([KEYLESS]);
    await expect(create(KEYLESS, { fetch: log.fetch }, realBytes("artifacts/world.txt"))).rejects.toThrow(
      code("SIGNATURE_INVALID"),
    );
    expect(log.requests).toEqual([]);
    const unknown = { rekorUrl: "https://log.example.com", trustedRoot: REAL_ROOTS.b };
    await expect(create(KEYLESS, { log: unknown })).rejects.toThrow(code("TLOG_THRESHOLD_NOT_MET"));
  });
});

describe("upgradeBundle", () => {
  const upgrade = (bundle: Bundle, options: Partial<UpgradeOptions> = {}): ReturnType<typeof upgradeBundle> =>
    upgradeBundle(bundle, {
      trustedRoot: () => Promise.resolve(REAL_ROOTS.a),
      fetch: fakeRekor([KEYLESS, KEYED]).fetch,
      timeoutMs: 10_000,
      retries: 0,
      ...options,
    });

  test("brings what cosign wrote before bundles to v0.3, with a proof that the log signed", async () => {
    const { bundle, fetchedProofs } = await upgrade(assembleBundle(parts(KEYLESS)));
    expect(fetchedProofs).toHaveLength(1);
    expect(bundle.verificationMaterial).toEqual({
      ...parseBundle(realBytes(realCase(KEYLESS).bundle)).verificationMaterial,
      rfc3161Timestamps: [],
    });
  });

  test("asks for the trusted root only where a proof is missing", async () => {
    const older = parseBundle(
      JSON.stringify(change(realBundle(KEYLESS), "mediaType", "application/vnd.dev.sigstore.bundle+json;version=0.2")),
    );
    const trustedRoot = (): never => {
      throw new Error("asked");
    };
    const { bundle, fetchedProofs } = await upgrade(older, { trustedRoot });
    expect(JSON.parse(serializeBundle(bundle))).toEqual(realBundle(KEYLESS));
    expect(fetchedProofs).toEqual([]);
    const current = parseBundle(realBytes(realCase(KEYLESS).bundle));
    expect((await upgrade(current, { trustedRoot })).bundle).toBe(current);
  });

  test("refuses a proof that another root's log signed", async () => {
    const trustedRoot = () => Promise.resolve(REAL_ROOTS.b);
    await expect(upgrade(assembleBundle(parts(KEYLESS)), { trustedRoot })).rejects.toThrow(
      code("TLOG_THRESHOLD_NOT_MET"),
    );
  });
});
