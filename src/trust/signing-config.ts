/**
 * Signing configs: the services that a signer talks to, and how it chooses among them.
 *
 * @module
 */

import { parseJson, type JsonObject, type JsonValue } from "../encoding/json.ts";
import { JsonReader, type JsonObjectReader } from "../encoding/json-reader.ts";
import { FormatError, SigstoreError, TrustError } from "../errors.ts";
import { MAX_TRUST_ENTRIES, MAX_TRUST_FILE_BYTES } from "../limits.ts";
import { readObject } from "./lenient-object.ts";
import { isWithin, readTimeRange, serializeTimeRange, type TimeRange } from "./time-range.ts";
import type { UnusableEntry } from "./trusted-root.ts";

/** Is one service, and the period in which it may be used. */
export interface Service {
  /** With `https` or `http`, without credentials. A base URL, but for a timestamp authority its whole URL. */
  readonly url: string;
  readonly majorApiVersion: number;
  readonly validFor: TimeRange;
  /** Who runs it; empty where the config does not say. Services without one count as one operator's. */
  readonly operator: string;
}

/** Says how many of the services to use, each of another operator. */
export type ServiceConfiguration =
  { readonly kind: "ALL" } | { readonly kind: "ANY" } | { readonly kind: "EXACT"; readonly count: number };

/** Holds the services to sign with. An empty list means that there is none of the kind, and none is to be used. */
export interface SigningConfig {
  readonly mediaType: string;
  readonly caUrls: readonly Service[];
  readonly oidcUrls: readonly Service[];
  readonly rekorTlogUrls: readonly Service[];
  /** Absent where the config has none that is understood; services of the kind can then not be chosen. */
  readonly rekorTlogConfig?: ServiceConfiguration;
  readonly tsaUrls: readonly Service[];
  /** Absent where the config has none that is understood; services of the kind can then not be chosen. */
  readonly tsaConfig?: ServiceConfiguration;
  readonly unusable: readonly UnusableEntry[];
  /** Paths of fields that are not known here, at most 256 of them. */
  readonly ignoredFields: readonly string[];
}

/** Is the media type that signing configs are written with. */
export const SIGNING_CONFIG_MEDIA_TYPE = "application/vnd.dev.sigstore.signingconfig.v0.2+json";
const MEDIA_TYPE_V01 = "application/vnd.dev.sigstore.signingconfig.v0.1+json";

const FIELDS = ["mediaType", "caUrls", "oidcUrls", "rekorTlogUrls", "rekorTlogConfig", "tsaUrls", "tsaConfig"] as const;
const FIELDS_V01 = ["mediaType", "caUrl", "oidcUrl", "tlogUrls", "tsaUrls"] as const;

/**
 * Parses a signing config. A service that cannot be used is set aside with the reason.
 *
 * A config v0.1 knows neither versions, periods nor operators: its services are of API version 1, at any time, and any
 * one of them is enough.
 *
 * @throws FormatError `SIGNING_CONFIG_MALFORMED` where it is not a signing config at all, `JSON_DUPLICATE_KEY`, `LIMIT_EXCEEDED`.
 * @see sigstore_trustroot.proto `SigningConfig`
 */
export function parseSigningConfig(input: string | Uint8Array): SigningConfig {
  return parseSigningConfigObject(
    parseJson(input, { what: "signing config", code: "SIGNING_CONFIG_MALFORMED", maxBytes: MAX_TRUST_FILE_BYTES }),
  );
}

/**
 * Parses a signing config out of JSON that is parsed already, for instance a member of a larger document.
 *
 * @throws as {@link parseSigningConfig}.
 */
export function parseSigningConfigObject(json: JsonValue): SigningConfig {
  const reader = new JsonReader(json, "signingConfig", "SIGNING_CONFIG_MALFORMED");
  const config = reader.object();
  const mediaType = readMediaType(config);
  const findings: Findings = { unusable: [], ignored: [], prefix: `${reader.path}.`.length };
  // Configs exist that say v0.1 and have the lists of v0.2.
  const isV01 =
    mediaType === MEDIA_TYPE_V01 && !["caUrls", "oidcUrls", "rekorTlogUrls"].some((list) => config.has(list));
  const services = isV01 ? readServicesV01(reader, findings) : readServices(reader, findings);
  return {
    mediaType,
    ...services,
    unusable: findings.unusable,
    ignoredFields: findings.ignored.map((path) => path.slice(findings.prefix)),
  };
}

type Services = Omit<SigningConfig, "mediaType" | "unusable" | "ignoredFields">;

interface Findings {
  readonly unusable: UnusableEntry[];
  readonly ignored: string[];
  /** Length of what stands before the path of a field in the file. */
  readonly prefix: number;
}

function readMediaType(config: JsonObjectReader): string {
  const mediaType = config.optional("mediaType")?.string();
  if (mediaType === SIGNING_CONFIG_MEDIA_TYPE || mediaType === MEDIA_TYPE_V01) return mediaType;
  throw new FormatError("SIGNING_CONFIG_MALFORMED", "file is not a signing config of a version that is supported", {
    expected: `${SIGNING_CONFIG_MEDIA_TYPE} or ${MEDIA_TYPE_V01}`,
    found: mediaType === undefined ? "no mediaType" : mediaType.slice(0, 200),
    remedy: "give the file signing_config.v0.2.json of a Sigstore instance",
  });
}

function readServices(reader: JsonReader, findings: Findings): Services {
  const config = readObject(reader, FIELDS, findings.ignored);
  const services = (field: string): readonly Service[] =>
    readUsable(config.optional(field)?.array(MAX_TRUST_ENTRIES) ?? [], findings, (service) =>
      readService(service, findings.ignored),
    );
  const configuration = (field: string): ServiceConfiguration | undefined => {
    const setting = config.optional(field);
    return setting && readUsable([setting], findings, (item) => readServiceConfiguration(item, findings.ignored))[0];
  };
  const rekorTlogConfig = configuration("rekorTlogConfig");
  const tsaConfig = configuration("tsaConfig");
  return {
    caUrls: services("caUrls"),
    oidcUrls: services("oidcUrls"),
    rekorTlogUrls: services("rekorTlogUrls"),
    ...(rekorTlogConfig !== undefined && { rekorTlogConfig }),
    tsaUrls: services("tsaUrls"),
    ...(tsaConfig !== undefined && { tsaConfig }),
  };
}

function readServicesV01(reader: JsonReader, findings: Findings): Services {
  const config = readObject(reader, FIELDS_V01, findings.ignored);
  const services = (urls: readonly JsonReader[]): readonly Service[] =>
    readUsable(urls, findings, (url) => ({
      url: readUrl(url),
      majorApiVersion: 1,
      validFor: { start: new Date(0) },
      operator: "",
    }));
  const single = (field: string): readonly JsonReader[] => {
    const url = config.optional(field);
    return url === undefined || url.value === "" ? [] : [url];
  };
  return {
    caUrls: services(single("caUrl")),
    oidcUrls: services(single("oidcUrl")),
    rekorTlogUrls: services(config.optional("tlogUrls")?.array(MAX_TRUST_ENTRIES) ?? []),
    rekorTlogConfig: { kind: "ANY" },
    tsaUrls: services(config.optional("tsaUrls")?.array(MAX_TRUST_ENTRIES) ?? []),
    tsaConfig: { kind: "ANY" },
  };
}

function readUsable<T>(
  readers: readonly JsonReader[],
  findings: Findings,
  read: (reader: JsonReader) => T,
): readonly T[] {
  const usable: T[] = [];
  for (const reader of readers) {
    try {
      usable.push(read(reader));
    } catch (error) {
      if (!(error instanceof SigstoreError)) throw error;
      findings.unusable.push({ path: reader.path.slice(findings.prefix), reason: error.message });
    }
  }
  return usable;
}

function readService(reader: JsonReader, ignored: string[]): Service {
  const service = readObject(reader, ["url", "majorApiVersion", "validFor", "operator"], ignored);
  return {
    url: readUrl(service.required("url")),
    majorApiVersion: service.optional("majorApiVersion")?.uint32() ?? 0,
    validFor: readTimeRange(service.required("validFor"), ignored),
    operator: service.optional("operator")?.string() ?? "",
  };
}

/** Reads a URL without repeating it in an error: it may hold credentials. */
function readUrl(reader: JsonReader): string {
  const text = reader.string();
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== "https:" && url.protocol !== "http:")) reader.fail("is not an HTTP URL");
  if (url.username !== "" || url.password !== "") reader.fail("has credentials in it");
  return text;
}

function readServiceConfiguration(reader: JsonReader, ignored: string[]): ServiceConfiguration {
  const configuration = readObject(reader, ["selector", "count"], ignored);
  const kind = configuration.required("selector").oneOf(["ALL", "ANY", "EXACT"] as const);
  if (kind !== "EXACT") return { kind };
  const count = configuration.required("count").uint32();
  if (count === 0) reader.fail("asks for exactly 0 services");
  return { kind, count };
}

/** Says what services are chosen by, apart from the config. */
export interface ServiceRequirements {
  /** Major API versions that the caller speaks. */
  readonly supportedVersions: readonly number[];
  readonly now: Date;
}

/**
 * Selects the one service to use where there is no choice to make: certificate authority and OpenID Connect provider.
 *
 * @returns the first of the highest supported API version that is valid now and started last.
 * @throws {@link TrustError} `SIGNING_CONFIG_UNUSABLE`.
 * @see sigstore_trustroot.proto `SigningConfig.ca_urls`, `oidc_urls`
 */
export function selectService(services: readonly Service[], requirements: ServiceRequirements): Service {
  const [service] = usableServices(services, requirements);
  if (service === undefined) throw tooFew(services, requirements);
  return service;
}

/**
 * Selects the services to use, at most one of each operator: transparency logs and timestamp authorities.
 *
 * An empty list has nothing to select from and is an error too; ask for its length first, where none is acceptable.
 *
 * @param random - Gives a number from 0 to below 1, as `Math.random` does.
 * @throws {@link TrustError} `SIGNING_CONFIG_UNUSABLE` where there are fewer services than asked for.
 * @see sigstore_trustroot.proto `Service`, `ServiceSelector`, `ServiceConfiguration`
 */
export function selectServices(
  services: readonly Service[],
  configuration: ServiceConfiguration | undefined,
  { random, ...requirements }: ServiceRequirements & { readonly random: () => number },
): readonly Service[] {
  if (configuration === undefined) {
    throw new TrustError("SIGNING_CONFIG_UNUSABLE", "signing config does not say how many of its services to use", {
      expected: "a selector of ALL, ANY or EXACT",
    });
  }
  const operators = new Set<string>();
  const candidates = usableServices(services, requirements).filter(({ operator }) => {
    const first = !operators.has(operator);
    operators.add(operator);
    return first;
  });
  const count = countOf(configuration, candidates.length);
  if (candidates.length < count) throw tooFew(services, requirements, count, candidates.length);
  return configuration.kind === "ALL" ? candidates : chooseFrom(candidates, count, random);
}

function countOf(configuration: ServiceConfiguration, available: number): number {
  switch (configuration.kind) {
    case "ALL":
      return Math.max(available, 1);
    case "ANY":
      return 1;
    case "EXACT":
      return configuration.count;
  }
}

/** Finds what is valid now and of the highest supported version that has anything valid, newest first. */
function usableServices(
  services: readonly Service[],
  { supportedVersions, now }: ServiceRequirements,
): readonly Service[] {
  const valid = services.filter(
    // Version 0 is a service that has not been released.
    ({ majorApiVersion, validFor }) =>
      majorApiVersion > 0 && supportedVersions.includes(majorApiVersion) && isWithin(validFor, now),
  );
  const version = valid.reduce((highest, { majorApiVersion }) => Math.max(highest, majorApiVersion), 0);
  return valid
    .filter(({ majorApiVersion }) => majorApiVersion === version)
    .sort((a, b) => b.validFor.start.getTime() - a.validFor.start.getTime()); // stable: the first of equals stays first
}

/** Draws without putting back. */
function chooseFrom(services: readonly Service[], count: number, random: () => number): readonly Service[] {
  const rest = [...services];
  return Array.from({ length: count }, () => rest.splice(Math.floor(random() * rest.length), 1)).flat();
}

function tooFew(
  services: readonly Service[],
  { supportedVersions, now }: ServiceRequirements,
  wanted = 1,
  usable = 0,
): TrustError {
  return new TrustError("SIGNING_CONFIG_UNUSABLE", "signing config has too few services to choose from", {
    expected: `${wanted} of distinct operators, valid at ${now.toISOString()}, of API version ${supportedVersions.join(" or ")}`,
    found: `${usable} among the ${services.length} that are listed`,
    remedy: "refresh the signing config, or name the service yourself",
  });
}

/** Writes a signing config as proto-JSON v0.2. Services that could not be used, and fields that were not known, are gone. */
export function serializeSigningConfig(config: SigningConfig): string {
  return JSON.stringify({
    mediaType: SIGNING_CONFIG_MEDIA_TYPE,
    caUrls: config.caUrls.map(serializeService),
    oidcUrls: config.oidcUrls.map(serializeService),
    rekorTlogUrls: config.rekorTlogUrls.map(serializeService),
    ...(config.rekorTlogConfig !== undefined && { rekorTlogConfig: serializeConfiguration(config.rekorTlogConfig) }),
    tsaUrls: config.tsaUrls.map(serializeService),
    ...(config.tsaConfig !== undefined && { tsaConfig: serializeConfiguration(config.tsaConfig) }),
  });
}

function serializeService({ url, majorApiVersion, validFor, operator }: Service): JsonObject {
  return { url, majorApiVersion, validFor: serializeTimeRange(validFor), ...(operator !== "" && { operator }) };
}

function serializeConfiguration(configuration: ServiceConfiguration): JsonObject {
  return configuration.kind === "EXACT"
    ? { selector: configuration.kind, count: configuration.count }
    : { selector: configuration.kind };
}
