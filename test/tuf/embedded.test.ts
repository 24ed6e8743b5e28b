import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { tryParseDigest } from "../../src/crypto/digest.ts";
import { encodeUtf8 } from "../../src/encoding/utf8.ts";
import { verify } from "../../src/files/verify-file.ts";
import { parseSigningConfig } from "../../src/trust/signing-config.ts";
import { parseTrustedRoot } from "../../src/trust/trusted-root.ts";
import { createMemoryCache } from "../../src/tuf/cache.ts";
import { production } from "../../src/tuf/embedded/production.ts";
import { staging } from "../../src/tuf/embedded/staging.ts";
import { instanceOfMirror, loadEmbeddedTrust, MIRRORS } from "../../src/tuf/instances.ts";
import { openRepository } from "../../src/tuf/updater.ts";
import { sharedAvailable, sharedDir } from "../support/shared.ts";

describe.for([
  ["production", production],
  ["staging", staging],
] as const)("the embedded trust of %s", ([instance, material]) => {
  test("is a trusted root with everything usable and known, for each kind of check", () => {
    const root = parseTrustedRoot(material.trustedRoot);
    expect(root.unusable).toEqual([]);
    expect(root.ignoredFields).toEqual([]);
    for (const list of [root.tlogs, root.ctlogs, root.certificateAuthorities, root.timestampAuthorities]) {
      expect(list.length).toBeGreaterThan(0);
    }
  });

  test("has a signing config that can be read", () => {
    expect(parseSigningConfig(material.signingConfig)).toMatchObject({
      mediaType: expect.stringContaining("v0.2") as unknown,
    });
  });

  test("begins with a TUF root that its own keys have signed", async () => {
    const open = (text: string): Promise<unknown> =>
      openRepository({
        metadataUrl: MIRRORS[instance],
        store: {
          load: (role) => (role === "root" ? encodeUtf8(text) : undefined),
          loadRootVersion: () => undefined,
          keep: () => undefined,
        },
        now: new Date(0),
        download: () => Promise.reject(new Error("a request was made")),
        mode: "local",
      });
    await expect(open(material.root)).rejects.toThrow(expect.objectContaining({ code: "TUF_METADATA_MISSING" })); // past the root
    const other = material.root.replace(/"expires": "\d/, '"expires": "3');
    await expect(open(other)).rejects.toThrow(expect.objectContaining({ code: "TUF_THRESHOLD_NOT_MET" }));
  });

  test("says when it was published, and by whom", async () => {
    const { source } = await loadEmbeddedTrust(instance, new Date(material.publishedAt));
    expect(source).toMatchObject({ kind: "embedded", instance, publishedAt: new Date(material.publishedAt) });
    const { signed } = JSON.parse(material.root) as { signed: { expires: string } };
    const end = new Date(signed.expires);
    await expect(loadEmbeddedTrust(instance, end)).resolves.toMatchObject({ source: { expired: true } });
    await expect(loadEmbeddedTrust(instance, new Date(end.getTime() - 1))).resolves.toMatchObject({
      source: { expired: false },
    });
  });
});

describe("instanceOfMirror", () => {
  test.for([
    ["https://tuf-repo-cdn.sigstore.dev", "production"],
    ["https://tuf-repo-cdn.sigstore.dev//", "production"],
    ["https://tuf-repo-cdn.sigstage.dev", "staging"],
    ["https://tuf-repo.github.com/", "github"],
    ["http://tuf-repo-cdn.sigstore.dev", undefined],
    ["https://tuf-repo-cdn.sigstore.dev.example.com", undefined],
    ["https://tuf-repo-cdn.sigstore.dev/other", undefined],
  ] as const)("%s is that of %s", ([mirror, instance]) => {
    expect(instanceOfMirror(mirror)).toBe(instance);
  });
});

interface CorpusCase {
  readonly name: string;
  readonly bundle: string;
  readonly artifact?: string;
  readonly digest?: string;
  readonly identity?: string;
  readonly issuer?: string;
  readonly attestation?: number;
  readonly trustedRoot?: string;
}

describe.skipIf(!sharedAvailable())("embedded trust, with nothing cached and no network", () => {
  const folder = join(sharedDir, "conformance", "corpus");
  const cases = sharedAvailable()
    ? (JSON.parse(readFileSync(join(folder, "cases.json"), "utf8")) as { cases: readonly CorpusCase[] }).cases
    : [];
  const keyless = cases.filter(({ identity, attestation }) => identity !== undefined && attestation === undefined);

  test("has cases of both instances to show it", () => {
    expect(keyless.map(({ trustedRoot }) => trustedRoot !== undefined)).toEqual(expect.arrayContaining([true, false]));
  });

  test.for(keyless)(
    "proves a real bundle: $name",
    async ({ bundle, artifact, digest, identity = "", issuer = "", trustedRoot }) => {
      const found = tryParseDigest(digest ?? "");
      const given = found === undefined ? { path: join(folder, artifact ?? "") } : { digests: [found] as const };
      const instance = trustedRoot === undefined ? "production" : "staging";
      const evidence = await verify({ path: join(folder, bundle) }, given, {
        identity: { subjectAlternativeName: identity, issuer },
        trust: {
          instance,
          offline: true,
          cache: createMemoryCache(),
          fetch: () => Promise.reject(new Error("a test opened a socket")),
        },
      });
      expect(evidence.trust).toMatchObject({ kind: "embedded", instance });
    },
  );
});
