import { describe, expect, test } from "vitest";

import type { Fetch } from "../../src/http/request.ts";
import { createMemoryCache } from "../../src/tuf/cache.ts";
import { loadEmbeddedTrust } from "../../src/tuf/instances.ts";
import { loadSigningConfig, type LoadSigningConfigOptions } from "../../src/tuf/load-signing-config.ts";
import { outcomeOf } from "../support/logs.ts";
import { daysAfter, NOW, TufRepository } from "../support/tuf-repository.ts";

const MIRROR = "https://tuf.test";
const config = (url: string): string =>
  JSON.stringify({
    mediaType: "application/vnd.dev.sigstore.signingconfig.v0.2+json",
    rekorTlogUrls: [{ url, majorApiVersion: 1, validFor: { start: "2025-01-01T00:00:00Z" } }],
    rekorTlogConfig: { selector: "ANY" },
  });

function optionsFor(
  targets: Readonly<Record<string, string>>,
): LoadSigningConfigOptions & { readonly asked: string[] } {
  const repository = new TufRepository();
  for (const [name, text] of Object.entries(targets)) repository.addTarget(name, text);
  repository.publishTargets();
  const asked: string[] = [];
  const fetch: Fetch = (url) => {
    asked.push(url);
    const bytes = repository.files.get(url.slice(MIRROR.length + 1));
    return Promise.resolve(bytes === undefined ? new Response("", { status: 404 }) : new Response(Buffer.from(bytes)));
  };
  return {
    asked,
    fetch,
    mirror: MIRROR,
    root: repository.latest("root"),
    cache: createMemoryCache(new Map()),
    environment: {},
    now: NOW,
  };
}

describe("loadSigningConfig", () => {
  const both = {
    "signing_config.v0.2.json": config("https://v1.test"),
    "signing_config_rekor_v2.v0.2.json": config("https://v2.test"),
  };

  test("loads the config for the generation of log that is asked for", async () => {
    const { asked: _, ...options } = optionsFor(both);
    for (const [rekorVersion, url] of [
      [undefined, "https://v1.test"],
      [1, "https://v1.test"],
      [2, "https://v2.test"],
    ] as const) {
      const { signingConfig, source } = await loadSigningConfig({ ...options, rekorVersion });
      expect(signingConfig.rekorTlogUrls.map((service) => service.url)).toEqual([url]);
      expect(source).toMatchObject({ kind: "tuf", mirror: MIRROR });
    }
  });

  test("tells where there is none", async () => {
    const { asked: _, ...options } = optionsFor({ "signing_config.v0.2.json": config("https://v1.test") });
    expect(await outcomeOf(loadSigningConfig({ ...options, rekorVersion: 2 }))).toBe("TUF_TARGET_NOT_FOUND");
    expect(await outcomeOf(loadSigningConfig({ ...options, rekorVersion: 3 as 2 }))).toBe("USAGE_INVALID");
  });

  test("refuses one that is none", async () => {
    const { asked: _, ...options } = optionsFor({ "signing_config.v0.2.json": "{}" });
    expect(await outcomeOf(loadSigningConfig(options))).toBe("SIGNING_CONFIG_MALFORMED");
  });

  test("opens no socket offline: the cache, however old, and nothing else for a mirror", async () => {
    const { asked, ...options } = optionsFor(both);
    await loadSigningConfig(options);
    asked.length = 0;
    const later = { ...options, offline: true, now: daysAfter(NOW, 400) };
    const { notices } = await loadSigningConfig(later);
    expect(notices).toEqual([expect.stringMatching(/expired .* because work is offline$/)]);
    expect(await outcomeOf(loadSigningConfig({ ...later, rekorVersion: 2 }))).toBe("TUF_TARGET_NOT_FOUND");
    expect(asked).toEqual([]);
  });

  test("takes the embedded config of its own instance offline, for Rekor v1 alone, and says so", async () => {
    const embedded = await loadEmbeddedTrust("production", NOW);
    const options = {
      instance: "production",
      offline: true,
      cache: createMemoryCache(new Map()),
      environment: {},
      now: daysAfter(embedded.source.publishedAt, 3),
    } as const;
    const { signingConfig, notices, source } = await loadSigningConfig(options);
    expect(signingConfig.caUrls.map(({ url }) => url)).toEqual(["https://fulcio.sigstore.dev"]);
    expect(source).toMatchObject({ kind: "embedded", instance: "production" });
    expect(notices).toEqual([expect.stringContaining("signing config of production that was embedded 3 days ago")]);
    await expect(loadSigningConfig({ ...options, rekorVersion: 2 })).rejects.toMatchObject({
      code: expect.stringMatching(/^TUF_/) as string,
    });
  });
});
