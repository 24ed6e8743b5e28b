import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseSigningConfig, selectServices } from "../../src/trust/signing-config.ts";
import { temporaryFolder } from "../support/cli.ts";
import type { Json } from "../support/json-edits.ts";
import { runInProcess, type Run } from "../support/program.ts";
import { realPath } from "../support/real.ts";

const outcome = ({ status, stderr }: Run): string => /\[([A-Z_]+)\]\n$/.exec(stderr)?.[1] ?? `status ${status}`;
const create = (...more: readonly string[]): Promise<Run> => runInProcess(["signing-config", "create", ...more]);
const spec = (host: string, more = ""): string =>
  `url=https://${host},api-version=1,start-time=2026-01-01T00:00:00Z,operator=${host}${more}`;
const service = (host: string): Json => ({
  url: `https://${host}`,
  majorApiVersion: 1,
  validFor: { start: "2026-01-01T00:00:00Z" },
  operator: host,
});
const BASE = realPath("a/signing_config.json");
const base = JSON.parse(readFileSync(BASE, "utf8")) as Json;
const OFFLINE = ["--with-default-services", "--offline"];

describe("signing-config create", () => {
  test("writes what flags name, in the form that cosign writes", async () => {
    const { status, stdout, stderr } = await create(
      "--fulcio",
      spec("fulcio.example.com", ",end-time=2027-01-01T00:00:00Z"),
      "--rekor",
      spec("rekor.example.com"),
      "--rekor",
      spec("rekor.example.org"),
      "--rekor-config",
      "exact:2",
      "--oidc-provider",
      spec("oidc.example.com"),
      "--tsa",
      spec("tsa.example.com"),
      "--tsa-config=ALL",
    );
    expect([status, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout)).toEqual({
      mediaType: "application/vnd.dev.sigstore.signingconfig.v0.2+json",
      caUrls: [
        {
          ...service("fulcio.example.com"),
          validFor: { start: "2026-01-01T00:00:00Z", end: "2027-01-01T00:00:00Z" },
        },
      ],
      oidcUrls: [service("oidc.example.com")],
      rekorTlogUrls: [service("rekor.example.com"), service("rekor.example.org")],
      rekorTlogConfig: { selector: "EXACT", count: 2 },
      tsaUrls: [service("tsa.example.com")],
      tsaConfig: { selector: "ALL" },
    });
    const config = parseSigningConfig(stdout);
    const requirements = { supportedVersions: [1], now: new Date("2026-06-01T00:00:00Z"), random: () => 0 };
    expect(selectServices(config.rekorTlogUrls, config.rekorTlogConfig, requirements)).toHaveLength(2);
  });

  test("writes a file that nobody else can read, or leaves it as it was", async () => {
    const path = join(temporaryFolder(), "signing_config.json");
    expect((await create("--fulcio", spec("fulcio.example.com"), "--out", path)).stdout).toBe("");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const before = readFileSync(path, "utf8");
    expect(outcome(await create("--fulcio", "nonsense", "--out", path))).toBe("USAGE_INVALID");
    expect(readFileSync(path, "utf8")).toBe(before);
    expect(outcome(await create("--fulcio", spec("fulcio.example.com"), "--out", "/nonexistent/x"))).toBe(
      "WRITE_FAILED",
    );
  });

  test("with no service says what that means", async () => {
    const { status, stdout, stderr } = await create();
    expect([status, parseSigningConfig(stdout).caUrls]).toEqual([0, []]);
    expect(stderr).toMatch(/^WARNING: .*no service.*key/);
  });

  test("--with-default-services begins with those of the repository, and adds", async () => {
    const defaults = JSON.parse((await create(...OFFLINE)).stdout) as Record<string, Json[]>;
    expect(defaults["caUrls"]?.map(({ url }) => url)).toEqual(["https://fulcio.sigstore.dev"]);
    const added = JSON.parse((await create(...OFFLINE, "--fulcio", spec("fulcio.example.com"))).stdout) as Record<
      string,
      Json[]
    >;
    expect(added["caUrls"]?.map(({ url }) => url)).toEqual([
      "https://fulcio.sigstore.dev",
      "https://fulcio.example.com",
    ]);
  });

  test.for<readonly [string, string]>([
    ["fulcio", "caUrls"],
    ["oidc", "oidcUrls"],
    ["rekor", "rekorTlogUrls"],
    ["tsa", "tsaUrls"],
  ])("--no-default-%s leaves those services out, of defaults and of a base", async ([name, field]) => {
    for (const from of [OFFLINE, ["--base-config", BASE]]) {
      const all = JSON.parse((await create(...from)).stdout) as Json;
      const some = JSON.parse((await create(...from, `--no-default-${name}`)).stdout) as Json;
      expect(all[field]).not.toEqual([]);
      const selector = { rekor: { rekorTlogConfig: undefined }, tsa: { tsaConfig: undefined } }[name] ?? {};
      expect(some).toEqual(JSON.parse(JSON.stringify({ ...all, [field]: [], ...selector })));
    }
    expect(outcome(await create(`--no-default-${name}`))).toBe("USAGE_INVALID");
  });

  test("--base-config begins with a file, and replaces service by service", async () => {
    expect(JSON.parse((await create("--base-config", BASE)).stdout)).toEqual(base);
    const { stdout } = await create("--base-config", BASE, "--oidc-provider", spec("oidc.example.com"));
    expect(JSON.parse(stdout)).toEqual({ ...base, oidcUrls: [service("oidc.example.com")] });
  });

  test("--with-default-rekor-v2 asks the repository for another config, which is not embedded", async () => {
    expect(outcome(await create("--with-default-rekor-v2", "--offline"))).toMatch(/^TUF_|^OFFLINE/);
  });

  test("--rekor-config and --tsa-config change how many are used", async () => {
    const { stdout } = await create("--base-config", BASE, "--rekor-config", "ALL", "--tsa-config", "EXACT:1");
    expect(JSON.parse(stdout)).toEqual({
      ...base,
      rekorTlogConfig: { selector: "ALL" },
      tsaConfig: { selector: "EXACT", count: 1 },
    });
  });

  test.for<readonly [string, readonly string[], RegExp]>([
    [
      "a log without a selector",
      ["--rekor", spec("a")],
      /^Error: --rekor-config must be provided when --rekor is specified/,
    ],
    [
      "a timestamp authority without a selector",
      ["--tsa", spec("a")],
      /^Error: --tsa-config must be provided when --tsa is specified/,
    ],
    [
      "a selector that is none",
      ["--rekor", spec("a"), "--rekor-config", "SOME"],
      /invalid value "SOME" for --rekor-config/,
    ],
    ["EXACT without a count", ["--rekor", spec("a"), "--rekor-config", "EXACT"], /expected ANY, ALL or EXACT:N/],
    ["ANY with a count", ["--rekor", spec("a"), "--rekor-config", "ANY:1"], /expected ANY, ALL or EXACT:N/],
    ["EXACT of none", ["--rekor", spec("a"), "--rekor-config", "EXACT:0"], /expected ANY, ALL or EXACT:N/],
    [
      "more than there are",
      ["--rekor", spec("a"), "--rekor-config", "EXACT:2"],
      /more services than there are operators/,
    ],
    ["a spec without a url", ["--fulcio", "api-version=1"], /--fulcio lacks url=/],
    [
      "a spec without an operator",
      ["--fulcio", "url=https://a,api-version=1,start-time=2026-01-01T00:00:00Z"],
      /lacks operator=/,
    ],
    ["a spec with an unknown part", ["--fulcio", spec("a", ",color=red")], /unknown part "color=red"/],
    ["a spec with a part twice", ["--fulcio", spec("a", ",url=https://b")], /url= twice/],
    [
      "a url that is none",
      ["--fulcio", "url=a b,api-version=1,start-time=2026-01-01T00:00:00Z,operator=a"],
      /invalid url/,
    ],
    [
      "a url of a file",
      ["--fulcio", "url=file:///etc,api-version=1,start-time=2026-01-01T00:00:00Z,operator=a"],
      /invalid url/,
    ],
    [
      "credentials in a url",
      ["--fulcio", spec("alice:secret@a").replace("operator=alice:secret@a", "operator=a")],
      /credentials/,
    ],
    ["an API version of 0", ["--fulcio", spec("a").replace("version=1", "version=0")], /invalid api-version "0"/],
    ["an API version in words", ["--fulcio", spec("a").replace("version=1", "version=v1")], /invalid api-version "v1"/],
    ["a time that is none", ["--fulcio", spec("a").replace("2026-01-01T00:00:00Z", "2026")], /invalid time "2026"/],
    ["an end before the start", ["--fulcio", spec("a", ",end-time=2025-01-01T00:00:00Z")], /ends before it starts/],
    ["a base and defaults", ["--base-config", BASE, "--with-default-services"], /exclude one another/],
    ["a base and defaults of Rekor v2", ["--base-config", BASE, "--with-default-rekor-v2"], /exclude one another/],
    ["a base that is missing", ["--base-config", "/nonexistent"], /signing config "\/nonexistent" does not exist/],
    ["a base that is something else", ["--base-config", realPath("a/trusted_root.json")], /not a signing config/],
    ["an operand", ["x"], /takes no operands/],
  ])("refuses %s in one line", async ([, args, words]) => {
    const out = join(temporaryFolder(), "out");
    const { status, stdout, stderr } = await create(...args, "--out", out);
    expect([status, stdout, existsSync(out)]).toEqual([1, "", false]);
    expect(stderr).toMatch(/^Error: [^\n]+; [^\n]+ \[[A-Z_]+\]\n$/);
    expect(stderr).toMatch(words);
    expect(stderr).not.toContain("secret");
  });

  test("takes a base that is not complete, and says what it leaves out", async () => {
    const path = join(temporaryFolder(), "base.json");
    writeFileSync(path, JSON.stringify({ ...base, caUrls: [{ url: "gopher://x" }, ...(base["caUrls"] as Json[])] }));
    const { stdout, stderr } = await create("--base-config", path);
    expect(JSON.parse(stdout)).toEqual(base);
    expect(stderr).toMatch(/^WARNING: caUrls\[0\] is left out: /);
  });
});
