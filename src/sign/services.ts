/**
 * From a signing config, or from URLs, to the services that a signature is made with.
 *
 * @module
 */

import { InputError, TrustError } from "../errors.ts";
import type { FilePath, TrustChoice } from "../files/verify-file.ts";
import { readInputFile } from "../files/read-file.ts";
import { MAX_TIMESTAMPS, MAX_TLOG_ENTRIES, MAX_TRUST_FILE_BYTES } from "../limits.ts";
import {
  parseSigningConfig,
  selectService,
  selectServices,
  type Service,
  type SigningConfig,
} from "../trust/signing-config.ts";
import type { LoadTrustOptions } from "../tuf/load-trust.ts";
import type { LoadSigningConfigOptions } from "../tuf/load-signing-config.ts";
import type { SelectedServices } from "./events.ts";
import type { RekorChoice, ServiceChoice } from "./options.ts";

/** Major API versions that are spoken. @see sigstore_trustroot.proto `Service.major_api_version` */
const FULCIO_VERSIONS = [1];
const REKOR_VERSIONS = [1, 2];
const TSA_VERSIONS = [1];

/** The words that scripts know from cosign. */
const NO_TIMESTAMP_AUTHORITY =
  "a timestamp authority must be provided to request a short-lived certificate that will be logged to Rekor";

/** Says what services are needed for, and how to choose. */
export interface ServiceNeeds {
  /** Whether a certificate of Fulcio is needed, which lives for minutes. */
  readonly keyless: boolean;
  readonly now: () => Date;
  readonly random: () => number;
}

/** Holds the services of a session, and finds another log where one takes no more entries. */
export class Services {
  readonly selected: SelectedServices;
  readonly notices: readonly string[];
  readonly #reload: (() => Promise<SigningConfig>) | undefined;
  readonly #needs: ServiceNeeds;

  private constructor(
    selected: SelectedServices,
    notices: readonly string[],
    reload: (() => Promise<SigningConfig>) | undefined,
    needs: ServiceNeeds,
  ) {
    this.selected = selected;
    this.notices = notices;
    this.#reload = reload;
    this.#needs = needs;
  }

  /**
   * Loads a signing config where one is asked for, and selects from it.
   *
   * @param loading - What holds for loading unless the choice says otherwise.
   * @throws {@link TrustError} `SIGNING_CONFIG_UNUSABLE` and those of loading; {@link InputError} `USAGE_INVALID`, `URL_INVALID`,
   * `FILE_NOT_FOUND` …; {@link FormatError} `SIGNING_CONFIG_MALFORMED`.
   */
  static async choose(choice: ServiceChoice, needs: ServiceNeeds, loading: LoadTrustOptions = {}): Promise<Services> {
    if (choice.kind === "urls") return new Services(selectUrls(choice, needs), [], undefined, needs);
    const { config, notices, reload } = await loadConfig(choice.signingConfig, loading);
    return new Services(selectFromConfig(config, needs), notices, reload, needs);
  }

  /** Whether there is a newer config to be had. */
  get canReselect(): boolean {
    return this.#reload !== undefined;
  }

  /**
   * Loads the signing config again, and selects logs other than the ones that take no more entries.
   *
   * @throws as {@link Services.choose}.
   */
  async reselectLogs(frozen: ReadonlySet<string>): Promise<readonly RekorChoice[]> {
    if (this.#reload === undefined) return [];
    const config = await this.#reload();
    const rest = config.rekorTlogUrls.filter(({ url }) => !frozen.has(url));
    if (rest.length === 0) {
      throw new TrustError("SIGNING_CONFIG_UNUSABLE", "refreshed signing config lists no other transparency log");
    }
    const { timestampAuthorities } = this.selected;
    const rekor = selectLogs({ ...config, rekorTlogUrls: rest }, this.#needs);
    checkTimes(rekor, timestampAuthorities, this.#needs, "signing-config");
    return rekor;
  }
}

type ConfigChoice = Extract<ServiceChoice, { kind: "signing-config" }>["signingConfig"];

async function loadConfig(
  choice: ConfigChoice,
  loading: LoadTrustOptions,
): Promise<{
  readonly config: SigningConfig;
  readonly notices: readonly string[];
  readonly reload?: (() => Promise<SigningConfig>) | undefined;
}> {
  if (typeof choice === "function") return { config: await choice(), notices: [], reload: choice };
  if ("rekorTlogUrls" in choice) return { config: choice, notices: [] };
  if (isPath(choice)) {
    const bytes = await readInputFile(choice.path, MAX_TRUST_FILE_BYTES, "signing config");
    return { config: parseSigningConfig(bytes), notices: [] };
  }
  const { loadSigningConfig } = await import("../tuf/load-signing-config.ts"); // whoever names a file needs none of it
  const { signingConfig, notices } = await loadSigningConfig({ ...loading, ...choice });
  const reload = async (): Promise<SigningConfig> =>
    (await loadSigningConfig({ ...loading, ...choice, maxAgeMs: 0 })).signingConfig;
  return { config: signingConfig, notices, reload };
}

/** Finds the trust that belongs to a signing config: the root of the same TUF repository. */
export function trustBeside(services: ServiceChoice | undefined): TrustChoice {
  if (services?.kind !== "signing-config") return {};
  const { signingConfig } = services;
  if (typeof signingConfig === "function" || "rekorTlogUrls" in signingConfig || isPath(signingConfig)) return {};
  const { rekorVersion: _, ...options } = signingConfig;
  return options;
}

/** Finds the signing config that belongs to a trust: that of the same TUF repository. */
export function servicesBeside(trust: TrustChoice | "unsafe-none" | undefined): ServiceChoice {
  const fromTuf = typeof trust === "object" && !("tlogs" in trust) && !isPath(trust);
  return { kind: "signing-config", signingConfig: fromTuf ? trust : {} };
}

function isPath(value: SigningConfig | FilePath | LoadSigningConfigOptions | TrustChoice): value is FilePath {
  return "path" in value && typeof value.path === "string";
}

function selectFromConfig(config: SigningConfig, needs: ServiceNeeds): SelectedServices {
  const { now, random } = needs;
  refuseUnreadable(config, "caUrls", needs.keyless ? config.caUrls : undefined);
  refuseUnreadable(config, "rekorTlogUrls", config.rekorTlogUrls);
  refuseUnreadable(config, "tsaUrls", config.tsaUrls);
  const fulcio = needs.keyless
    ? selectService(config.caUrls, { supportedVersions: FULCIO_VERSIONS, now: now() }).url
    : undefined;
  const rekor = selectLogs(config, needs);
  // An empty list says that there is none of the kind, and none is to be used.
  const timestampAuthorities =
    config.tsaUrls.length === 0
      ? []
      : selectServices(config.tsaUrls, config.tsaConfig, { supportedVersions: TSA_VERSIONS, now: now(), random }).map(
          ({ url }) => url,
        );
  checkTimes(rekor, timestampAuthorities, needs, "signing-config");
  return { fulcio, rekor, timestampAuthorities };
}

function selectLogs(config: SigningConfig, { now, random }: ServiceNeeds): readonly RekorChoice[] {
  if (config.rekorTlogUrls.length === 0) return [];
  return selectServices(config.rekorTlogUrls, config.rekorTlogConfig, {
    supportedVersions: REKOR_VERSIONS,
    now: now(),
    random,
  }).map(({ url, majorApiVersion }) => ({ url, majorApiVersion: majorApiVersion === 1 ? 1 : 2 }));
}

/** A list whose every service could not be read is not an empty list: that would sign with less than was asked for. */
function refuseUnreadable(config: SigningConfig, list: string, services: readonly Service[] | undefined): void {
  if (services?.length !== 0) return;
  const unreadable = config.unusable.find(({ path }) => path.startsWith(`${list}[`));
  if (unreadable === undefined) return;
  throw new TrustError("SIGNING_CONFIG_UNUSABLE", `signing config lists no service in ${list} that can be used`, {
    expected: "a service, or an empty list",
    found: unreadable.reason,
  });
}

function selectUrls(choice: Extract<ServiceChoice, { kind: "urls" }>, needs: ServiceNeeds): SelectedServices {
  const { fulcioUrl, rekor = [], timestampUrls = [] } = choice;
  if (needs.keyless && fulcioUrl === undefined) {
    throw new InputError("USAGE_INVALID", "a keyless signature needs a certificate authority", {
      remedy: "give the URL of Fulcio, or a signing config",
    });
  }
  const urls = [...(fulcioUrl === undefined ? [] : [fulcioUrl]), ...rekor.map(({ url }) => url), ...timestampUrls];
  for (const url of urls) checkUrl(url);
  for (const { majorApiVersion } of rekor) {
    if (!REKOR_VERSIONS.includes(majorApiVersion)) {
      throw new InputError("USAGE_INVALID", `there is no generation ${String(majorApiVersion)} of Rekor`, {
        expected: "1 or 2",
      });
    }
  }
  refuseRepeats(
    "transparency log",
    rekor.map(({ url }) => url),
    MAX_TLOG_ENTRIES,
  );
  refuseRepeats("timestamp authority", timestampUrls, MAX_TIMESTAMPS);
  checkTimes(rekor, timestampUrls, needs, "urls");
  return { fulcio: needs.keyless ? fulcioUrl : undefined, rekor, timestampAuthorities: timestampUrls };
}

function checkUrl(url: string): void {
  const parsed = URL.parse(url);
  if (parsed !== null && /^https?:$/.test(parsed.protocol) && parsed.username + parsed.password === "") return;
  // The URL may hold credentials, so it is not repeated.
  throw new InputError("URL_INVALID", "URL of a service is not an HTTP URL without credentials", {
    expected: "https://…",
  });
}

/** Two answers of one log would be one entry, which no verifier takes twice. */
function refuseRepeats(what: string, urls: readonly string[], max: number): void {
  const repeated = urls.find((url, index) => urls.indexOf(url) !== index);
  if (repeated !== undefined) throw new InputError("USAGE_INVALID", `${what} ${repeated} is named twice`);
  if (urls.length > max) {
    throw new InputError("USAGE_INVALID", `more than ${max} services of one kind: ${what}`, {
      found: `${urls.length}`,
    });
  }
}

/** A short-lived certificate proves nothing later without a time that somebody signed while it was valid. */
function checkTimes(
  rekor: readonly RekorChoice[],
  timestampUrls: readonly string[],
  { keyless }: ServiceNeeds,
  source: ServiceChoice["kind"],
): void {
  if (!keyless || timestampUrls.length > 0 || rekor.some(({ majorApiVersion }) => majorApiVersion === 1)) return;
  const problem =
    rekor.length > 0
      ? NO_TIMESTAMP_AUTHORITY
      : "a short-lived certificate needs a timestamp authority or a log of Rekor v1 to prove when it was used";
  throw source === "urls"
    ? new InputError("USAGE_INVALID", problem, { remedy: "give the URL of a timestamp authority" })
    : new TrustError("SIGNING_CONFIG_UNUSABLE", problem, { remedy: "use a signing config with a timestamp authority" });
}
