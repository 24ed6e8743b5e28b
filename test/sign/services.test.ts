import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";

import { SigningSession } from "../../src/sign/session.ts";
import { sign } from "../../src/sign/sign.ts";
import { Services } from "../../src/sign/services.ts";
import type { ServiceChoice } from "../../src/sign/options.ts";
import { parseSigningConfig, type SigningConfig } from "../../src/trust/signing-config.ts";
import { outcomeOf } from "../support/logs.ts";
import { NOW } from "../support/sandbox/authorities.ts";
import { ARTIFACT, makeSandbox } from "../support/sandbox/sandbox.ts";
import { FULCIO, makeSigningServices, REKOR1, REKOR2, TSA } from "../support/signing-services.ts";

const sandbox = makeSandbox();

interface ServiceJson {
  url: string;
  majorApiVersion: number;
  validFor: { start: string; end?: string };
  operator?: string;
}
const service = (url: string, majorApiVersion = 1, more: Partial<ServiceJson> = {}): ServiceJson => ({
  url,
  majorApiVersion,
  validFor: { start: "2025-01-01T00:00:00Z" },
  operator: new URL(url).host,
  ...more,
});
const ALL = { selector: "ALL" };
const ANY = { selector: "ANY" };

function configText(changes: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    mediaType: "application/vnd.dev.sigstore.signingconfig.v0.2+json",
    caUrls: [service(FULCIO)],
    oidcUrls: [],
    rekorTlogUrls: [service(REKOR1)],
    rekorTlogConfig: ANY,
    tsaUrls: [service(TSA)],
    tsaConfig: ANY,
    ...changes,
  });
}
const configOf = (changes?: Readonly<Record<string, unknown>>): SigningConfig =>
  parseSigningConfig(configText(changes));
const choose = async (signingConfig: SigningConfig, keyless = true, random = 0): Promise<unknown> => {
  const choice: ServiceChoice = { kind: "signing-config", signingConfig };
  return (await Services.choose(choice, { keyless, now: () => NOW, random: () => random })).selected;
};

describe("Services.choose, from a signing config (sigstore_trustroot.proto SigningConfig)", () => {
  test("takes one of each kind where any will do", async () => {
    expect(await choose(configOf())).toEqual({
      fulcio: FULCIO,
      rekor: [{ url: REKOR1, majorApiVersion: 1 }],
      timestampAuthorities: [TSA],
    });
  });

  test("takes no certificate authority for a key, and needs none", async () => {
    expect(await choose(configOf({ caUrls: [] }), false)).toMatchObject({ fulcio: undefined });
    expect(await outcomeOf(choose(configOf({ caUrls: [] })))).toBe("SIGNING_CONFIG_UNUSABLE");
  });

  test("uses none of a kind whose list is empty, without a selector", async () => {
    const config = configOf({ rekorTlogUrls: [], rekorTlogConfig: undefined });
    expect(await choose(config)).toMatchObject({ rekor: [], timestampAuthorities: [TSA] });
    expect(await choose(configOf({ rekorTlogUrls: [], tsaUrls: [] }), false)).toMatchObject({
      rekor: [],
      timestampAuthorities: [],
    });
  });

  test("takes a list whose services cannot be read for no empty one", async () => {
    const unreadable = [{ ...service(REKOR1), url: "ftp://rekor1.test" }];
    expect(await outcomeOf(choose(configOf({ rekorTlogUrls: unreadable })))).toBe("SIGNING_CONFIG_UNUSABLE");
    expect(await outcomeOf(choose(configOf({ tsaUrls: [{ ...service(TSA), validFor: {} }] })))).toBe(
      "SIGNING_CONFIG_UNUSABLE",
    );
  });

  test("takes the highest version, all of it where all are asked for, one of each operator", async () => {
    const rekorTlogUrls = [
      service(REKOR1),
      service(REKOR2, 2),
      service("https://other.test", 2),
      service("https://older.test", 2, { operator: "other.test", validFor: { start: "2024-01-01T00:00:00Z" } }),
      service("https://ended.test", 2, { validFor: { start: "2024-01-01T00:00:00Z", end: "2025-01-01T00:00:00Z" } }),
      service("https://later.test", 3),
    ];
    const selected = await choose(configOf({ rekorTlogUrls, rekorTlogConfig: ALL }));
    expect(selected).toMatchObject({
      rekor: [
        { url: REKOR2, majorApiVersion: 2 },
        { url: "https://other.test", majorApiVersion: 2 },
      ],
    });
    const exact = { selector: "EXACT", count: 3 };
    expect(await outcomeOf(choose(configOf({ rekorTlogUrls, rekorTlogConfig: exact })))).toBe(
      "SIGNING_CONFIG_UNUSABLE",
    );
  });

  test("draws with the random numbers that it is given", async () => {
    const rekorTlogUrls = [service(REKOR1), service("https://other.test")];
    const config = configOf({ rekorTlogUrls });
    expect(await choose(config, true, 0)).toMatchObject({ rekor: [{ url: REKOR1 }] });
    expect(await choose(config, true, 0.99)).toMatchObject({ rekor: [{ url: "https://other.test" }] });
  });
});

const NO_TIME =
  "a timestamp authority must be provided to request a short-lived certificate that will be logged to Rekor";

describe("a short-lived certificate without a time", () => {
  test("is not asked for: Rekor v2 alone does not give one", async () => {
    const services = makeSigningServices(sandbox);
    const rekorTlogUrls = [service(REKOR2, 2)];
    for (const [choice, code] of [
      [{ kind: "signing-config", signingConfig: configOf({ rekorTlogUrls, tsaUrls: [] }) }, "SIGNING_CONFIG_UNUSABLE"],
      [{ kind: "urls", fulcioUrl: FULCIO, rekor: [{ url: REKOR2, majorApiVersion: 2 }] }, "USAGE_INVALID"],
    ] as const) {
      const failure = sign(ARTIFACT, services.options({ services: choice }));
      await expect(failure).rejects.toMatchObject({ code, message: NO_TIME });
    }
    expect(services.asked()).toEqual([]);
  });

  test("is asked for where Rekor v1 notes the time", async () => {
    const services = makeSigningServices(sandbox);
    const rekor = [{ url: REKOR1, majorApiVersion: 1 }] as const;
    const signed = await sign(ARTIFACT, services.options({ services: { kind: "urls", fulcioUrl: FULCIO, rekor } }));
    expect(signed.evidence?.timestamps.map(({ kind }) => kind)).toEqual(["integrated-time"]);
  });
});

describe("Services.choose, from URLs", () => {
  const chooseUrls = (
    choice: Omit<Extract<ServiceChoice, { kind: "urls" }>, "kind">,
    keyless = true,
  ): Promise<unknown> => Services.choose({ kind: "urls", ...choice }, { keyless, now: () => NOW, random: () => 0 });
  const rekor = [{ url: REKOR1, majorApiVersion: 1 }] as const;

  test.for([
    ["no certificate authority", "USAGE_INVALID", { rekor }],
    ["something that is no URL", "URL_INVALID", { fulcioUrl: "fulcio", rekor }],
    ["a URL with a password in it", "URL_INVALID", { fulcioUrl: "https://u:p@fulcio.test", rekor }],
    ["a log twice", "USAGE_INVALID", { fulcioUrl: FULCIO, rekor: [...rekor, ...rekor] }],
    ["an authority twice", "USAGE_INVALID", { fulcioUrl: FULCIO, rekor, timestampUrls: [TSA, TSA] }],
    [
      "an unknown generation",
      "USAGE_INVALID",
      { fulcioUrl: FULCIO, rekor: [{ url: REKOR1, majorApiVersion: 3 as 2 }] },
    ],
  ] as const)("refuses %s", async ([, code, choice]) => {
    expect(await outcomeOf(chooseUrls(choice))).toBe(code);
  });

  test("needs nothing at all for a key", async () => {
    await expect(chooseUrls({}, false)).resolves.toMatchObject({ selected: { rekor: [], timestampAuthorities: [] } });
  });
});

describe("a log that takes no more entries", () => {
  const frozen = "https://frozen.test";
  const isFrozen = ({ url }: { url: URL }): Response | undefined =>
    url.host === "frozen.test" ? new Response("", { status: 405 }) : undefined;

  test("is replaced by one of the refreshed config, once for all signatures", async () => {
    const services = makeSigningServices(sandbox);
    services.forgeries.answer = isFrozen;
    let loads = 0;
    const signingConfig = (): Promise<SigningConfig> => {
      loads += 1;
      return Promise.resolve(
        configOf({ rekorTlogUrls: loads === 1 ? [service(frozen)] : [service(frozen), service(REKOR1)] }),
      );
    };
    using session = await SigningSession.open(
      services.options({ services: { kind: "signing-config", signingConfig } }),
    );
    const outcomes = await session.signMany([ARTIFACT, ARTIFACT, ARTIFACT], { concurrency: 3 });
    expect(outcomes.map(({ kind }) => kind)).toEqual(["signed", "signed", "signed"]);
    expect(loads).toBe(2);
    expect(session.services.rekor).toEqual([{ url: REKOR1, majorApiVersion: 1 }]);
    const frozenRequests = (): number => services.asked().filter((path) => path.includes("frozen")).length;
    const before = frozenRequests(); // one to three: some signatures may have begun after it was replaced
    await session.sign(ARTIFACT);
    expect(frozenRequests()).toBe(before);
  });

  test.for<[string, () => ServiceChoice, RegExp]>([
    [
      "URLs were given",
      () => ({ kind: "urls", fulcioUrl: FULCIO, rekor: [{ url: frozen, majorApiVersion: 1 }] }),
      /cannot be refreshed/,
    ],
    [
      "the config is a value",
      () => ({ kind: "signing-config", signingConfig: configOf({ rekorTlogUrls: [service(frozen)] }) }),
      /cannot be refreshed/,
    ],
    [
      "the refreshed config has no other",
      () => ({
        kind: "signing-config",
        signingConfig: () => Promise.resolve(configOf({ rekorTlogUrls: [service(frozen)] })),
      }),
      /no log to take its place/,
    ],
    [
      "the refreshed config has none at all",
      () => {
        let loads = 0;
        const signingConfig = (): Promise<SigningConfig> =>
          Promise.resolve(configOf({ rekorTlogUrls: ++loads === 1 ? [service(frozen)] : [] }));
        return { kind: "signing-config", signingConfig };
      },
      /no log to take its place/,
    ],
    [
      "the other one is frozen too",
      () => {
        let loads = 0;
        const signingConfig = (): Promise<SigningConfig> =>
          Promise.resolve(configOf({ rekorTlogUrls: [service(frozen, 1, { url: `${frozen}/${++loads}` })] }));
        return { kind: "signing-config", signingConfig };
      },
      /was refreshed before/,
    ],
  ])("ends the signature where %s", async ([, choice, reason]) => {
    const services = makeSigningServices(sandbox);
    services.forgeries.answer = isFrozen;
    const failure = sign(ARTIFACT, services.options({ services: choice() }));
    await expect(failure).rejects.toMatchObject({
      code: "TLOG_FROZEN",
      service: "Rekor",
      message: expect.stringMatching(reason) as string,
    });
  });
});

describe("a signing config in a file", () => {
  test("is read, and errors of it are told", async () => {
    const folder = mkdtempSync(join(tmpdir(), "signing-config-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, "config.json");
    writeFileSync(path, configText());
    const services = makeSigningServices(sandbox);
    const options = (file: string): ReturnType<typeof services.options> =>
      services.options({ services: { kind: "signing-config", signingConfig: { path: file } } });
    await sign(ARTIFACT, options(path));
    expect(await outcomeOf(sign(ARTIFACT, options(join(folder, "none.json"))))).toBe("FILE_NOT_FOUND");
    writeFileSync(path, "{}");
    expect(await outcomeOf(sign(ARTIFACT, options(path)))).toBe("SIGNING_CONFIG_MALFORMED");
  });
});
