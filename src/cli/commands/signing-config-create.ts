/**
 * `cosign-ts signing-config create`: the services to sign with.
 *
 * @module
 */

import { readInputFile } from "../../files/read-file.ts";
import { MAX_TRUST_FILE_BYTES } from "../../limits.ts";
import {
  parseSigningConfig,
  serializeSigningConfig,
  SIGNING_CONFIG_MEDIA_TYPE,
  type Service,
  type ServiceConfiguration,
  type SigningConfig,
} from "../../trust/signing-config.ts";
import { loadSigningConfig } from "../../tuf/load-signing-config.ts";
import { warn, type Command, type Context } from "../context.ts";
import { parseTime, usage, type Flags } from "../flags.ts";
import { parseKeyValues } from "../key-values.ts";
import { naming } from "../named-input.ts";
import { writeOutput } from "../output-file.ts";
import { tufOptions } from "../trust-choice.ts";

const SPEC = "url=URL,api-version=N,start-time=TIME,operator=NAME[,end-time=TIME]; may be repeated";
const SELECTOR = "how many to use: ANY for one, ALL, or EXACT:N";
const SERVICES = ["fulcio", "rekor", "oidc", "tsa"] as const;
type ServiceName = (typeof SERVICES)[number];
/** The flag that gives a service of each kind. */
const FLAGS: Readonly<Record<ServiceName, string>> = {
  fulcio: "fulcio",
  rekor: "rekor",
  oidc: "oidc-provider",
  tsa: "tsa",
};
const MAX_UINT32 = 0xffff_ffff;

/** Writes a signing config of services that flags name, alone, or beside those of a config that is there. */
export const signingConfigCreate: Command = {
  name: "signing-config create",
  summary: "Write a signing config: the services to sign with, and how many of each to use.",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  environment: false,
  flags: [
    { name: "fulcio", kind: "strings", value: "SPEC", description: `certificate authority: ${SPEC}` },
    { name: "rekor", kind: "strings", value: "SPEC", description: `transparency log: ${SPEC}` },
    { name: "rekor-config", kind: "string", value: "SELECTOR", description: `of the transparency logs, ${SELECTOR}` },
    { name: "oidc-provider", kind: "strings", value: "SPEC", description: `OpenID Connect provider: ${SPEC}` },
    {
      name: "tsa",
      kind: "strings",
      value: "SPEC",
      description: `timestamp authority, whose url is that of its requests: ${SPEC}`,
    },
    { name: "tsa-config", kind: "string", value: "SELECTOR", description: `of the timestamp authorities, ${SELECTOR}` },
    {
      name: "base-config",
      kind: "string",
      value: "FILE",
      description: "begin with this signing config; a service that is given takes the place of all of its kind",
    },
    {
      name: "with-default-services",
      kind: "boolean",
      description: "begin with the signing config of the TUF repository, and add the services that are given",
    },
    {
      name: "with-default-rekor-v2",
      kind: "boolean",
      description: "the same with the repository's signing config for Rekor v2",
    },
    ...SERVICES.map((service) => ({
      name: `no-default-${service}`,
      kind: "boolean" as const,
      description: `leave out the ${service} services of what is begun with`,
    })),
    { name: "offline", kind: "boolean", description: "take the default services from the cache or this package" },
    {
      name: "out",
      kind: "string",
      value: "FILE",
      description: "write to a file in place of standard output; if that fails, the file stays as it was",
    },
  ],
  examples: [
    "cosign-ts signing-config create --fulcio url=https://fulcio.example.com,api-version=1,start-time=2026-01-01T00:00:00Z,operator=example.com --rekor url=https://rekor.example.com,api-version=2,start-time=2026-01-01T00:00:00Z,operator=example.com --rekor-config ANY --tsa url=https://tsa.example.com/timestamp,api-version=1,start-time=2026-01-01T00:00:00Z,operator=example.com --tsa-config EXACT:1 --out signing_config.json",
    "cosign-ts signing-config create --with-default-services --offline --no-default-rekor --out signing_config.json",
  ],
  async run(_operands, flags, context) {
    const own = readOwn(flags);
    const base = await readBase(flags, context);
    const config = merge(base, own, flags.has("base-config"));
    checkSelectors(config);
    if (Object.values(services(config)).every(({ length }) => length === 0))
      warn(
        context,
        "the signing config names no service: only signatures with a key can be made, and no log sees them",
      );
    const text = JSON.stringify(JSON.parse(serializeSigningConfig(config)), undefined, 2);
    writeOutput(`${text}\n`, flags.string("out"), context);
    return 0;
  },
};

type Parts = Omit<SigningConfig, "mediaType" | "unusable" | "ignoredFields">;

const NOTHING: Parts = { caUrls: [], oidcUrls: [], rekorTlogUrls: [], tsaUrls: [] };

function services({
  caUrls,
  rekorTlogUrls,
  oidcUrls,
  tsaUrls,
}: Parts): Readonly<Record<ServiceName, readonly Service[]>> {
  return { fulcio: caUrls, rekor: rekorTlogUrls, oidc: oidcUrls, tsa: tsaUrls };
}

function readOwn(flags: Flags): Parts {
  const read = (name: ServiceName): readonly Service[] =>
    flags.strings(FLAGS[name]).map((text) => readService(FLAGS[name], text));
  for (const name of ["rekor", "tsa"] as const) {
    if (flags.has(name) && !flags.has(`${name}-config`)) {
      throw usage(`--${name}-config must be provided when --${name} is specified`, {
        expected: "ANY, ALL or EXACT:N",
        remedy: `add --${name}-config=ANY to use one of them`,
      });
    }
  }
  const rekorTlogConfig = readSelector("rekor-config", flags);
  const tsaConfig = readSelector("tsa-config", flags);
  return {
    caUrls: read("fulcio"),
    oidcUrls: read("oidc"),
    rekorTlogUrls: read("rekor"),
    tsaUrls: read("tsa"),
    ...(rekorTlogConfig !== undefined && { rekorTlogConfig }),
    ...(tsaConfig !== undefined && { tsaConfig }),
  };
}

function readService(flag: string, text: string): Service {
  const fields = parseKeyValues(flag, text, ["url", "api-version", "start-time", "operator"], ["end-time"]);
  const url = URL.parse(fields["url"] ?? "");
  if (url === null || !/^https?:$/.test(url.protocol))
    throw usage(`--${flag} has an invalid url ${JSON.stringify(fields["url"])}`, { expected: "https://…" });
  if (url.username + url.password !== "")
    throw usage(`--${flag} has a url with credentials in it, which are not sent`, { remedy: "leave them out" });
  const version = fields["api-version"] ?? "";
  if (!/^[1-9]\d{0,9}$/.test(version) || Number(version) > MAX_UINT32)
    throw usage(`--${flag} has an invalid api-version ${JSON.stringify(version)}`, { expected: "1 or more" });
  const start = parseTime(fields["start-time"] ?? "", `start-time of --${flag}`);
  const end = fields["end-time"] ? parseTime(fields["end-time"], `end-time of --${flag}`) : undefined;
  if (end !== undefined && end < start)
    throw usage(`--${flag} ends before it starts`, { remedy: "exchange start-time and end-time" });
  return {
    url: fields["url"] ?? "",
    majorApiVersion: Number(version),
    validFor: { start, ...(end === undefined ? {} : { end }) },
    operator: fields["operator"] ?? "",
  };
}

function readSelector(name: "rekor-config" | "tsa-config", flags: Flags): ServiceConfiguration | undefined {
  const text = flags.string(name);
  if (text === undefined) return undefined;
  const [, kind = "", count] = /^(any|all|exact)(?::(\d{1,10}))?$/i.exec(text) ?? [];
  const isExact = kind.toUpperCase() === "EXACT";
  if (kind === "" || isExact !== (count !== undefined) || Number(count ?? 1) < 1 || Number(count ?? 1) > MAX_UINT32)
    throw usage(`invalid value ${JSON.stringify(text)} for ${flags.nameOf(name)}`, {
      expected: "ANY, ALL or EXACT:N, for instance EXACT:2",
    });
  if (isExact) return { kind: "EXACT", count: Number(count) };
  return { kind: kind.toUpperCase() === "ALL" ? "ALL" : "ANY" };
}

async function readBase(flags: Flags, context: Context): Promise<Parts> {
  const path = flags.string("base-config");
  const rekorV2 = flags.boolean("with-default-rekor-v2");
  const defaults = ["with-default-services", "with-default-rekor-v2"].find((name) => flags.boolean(name));
  if (path !== undefined && defaults !== undefined)
    throw usage(`--base-config and --${defaults} exclude one another`, { remedy: "leave one of both out" });
  const without = (service: ServiceName): boolean => flags.boolean(`no-default-${service}`);
  if (path === undefined && defaults === undefined) {
    const unused = SERVICES.find(without);
    if (unused !== undefined)
      throw usage(`--no-default-${unused} needs --with-default-services or --base-config`, {
        remedy: "leave it out, or give one of them",
      });
    return NOTHING;
  }
  const base = path === undefined ? await loadDefaults(rekorV2, flags, context) : await readConfig(path);
  for (const { path: at, reason } of base.unusable) warn(context, `${at} is left out: ${reason}`);
  return {
    caUrls: without("fulcio") ? [] : base.caUrls,
    oidcUrls: without("oidc") ? [] : base.oidcUrls,
    rekorTlogUrls: without("rekor") ? [] : base.rekorTlogUrls,
    ...(!without("rekor") && base.rekorTlogConfig !== undefined && { rekorTlogConfig: base.rekorTlogConfig }),
    tsaUrls: without("tsa") ? [] : base.tsaUrls,
    ...(!without("tsa") && base.tsaConfig !== undefined && { tsaConfig: base.tsaConfig }),
  };
}

async function readConfig(path: string): Promise<SigningConfig> {
  const bytes = await readInputFile(path, MAX_TRUST_FILE_BYTES, "signing config");
  return await naming(path, () => parseSigningConfig(bytes));
}

async function loadDefaults(rekorV2: boolean, flags: Flags, context: Context): Promise<SigningConfig> {
  const { signingConfig, notices } = await loadSigningConfig({
    ...(await tufOptions(flags, context, undefined)),
    rekorVersion: rekorV2 ? 2 : 1,
  });
  for (const text of notices) warn(context, text);
  return signingConfig;
}

/** As in cosign: what is given is added to the default services, and takes the place of those of a base config. */
function merge(base: Parts, own: Parts, replaces: boolean): SigningConfig {
  const join = (from: readonly Service[], given: readonly Service[]): readonly Service[] =>
    replaces && given.length > 0 ? given : [...from, ...given];
  const rekorTlogConfig = own.rekorTlogConfig ?? base.rekorTlogConfig;
  const tsaConfig = own.tsaConfig ?? base.tsaConfig;
  return {
    mediaType: SIGNING_CONFIG_MEDIA_TYPE,
    caUrls: join(base.caUrls, own.caUrls),
    oidcUrls: join(base.oidcUrls, own.oidcUrls),
    rekorTlogUrls: join(base.rekorTlogUrls, own.rekorTlogUrls),
    ...(rekorTlogConfig !== undefined && { rekorTlogConfig }),
    tsaUrls: join(base.tsaUrls, own.tsaUrls),
    ...(tsaConfig !== undefined && { tsaConfig }),
    unusable: [],
    ignoredFields: [],
  };
}

/** A config from which nobody could ever choose is a mistake that is better told now. */
function checkSelectors({ rekorTlogUrls, rekorTlogConfig, tsaUrls, tsaConfig }: SigningConfig): void {
  const checks = [
    ["rekor", rekorTlogUrls, rekorTlogConfig],
    ["tsa", tsaUrls, tsaConfig],
  ] as const;
  for (const [name, urls, selector] of checks) {
    const operators = new Set(urls.map(({ operator }) => operator)).size;
    if (selector?.kind === "EXACT" && selector.count > operators) {
      throw usage(`--${name}-config asks for more services than there are operators of`, {
        expected: `at most ${operators}, not ${selector.count}`,
        remedy: "only one service of each operator is used",
      });
    }
    if (selector === undefined && urls.length > 0)
      throw usage(`the signing config that is begun with does not say how many ${name} services to use`, {
        remedy: `add --${name}-config=ANY`,
      });
  }
}
