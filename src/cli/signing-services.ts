/**
 * The services that a command signs with, and the trust that their answers are verified by, out of the flags.
 *
 * @module
 */

import { readInputFile } from "../files/read-file.ts";
import { fetchFor } from "../http/fetch.ts";
import type { Fetch } from "../http/request.ts";
import type { TlsOptions } from "../http/tls.ts";
import { MAX_CERTIFICATE_FILE_BYTES, MAX_TRUST_FILE_BYTES } from "../limits.ts";
import type { ServiceChoice, SigningOptions } from "../sign/options.ts";
import { parseSigningConfig, selectService, type SigningConfig } from "../trust/signing-config.ts";
import { loadSigningConfig } from "../tuf/load-signing-config.ts";
import type { LoadTrustOptions } from "../tuf/load-trust.ts";
import { warn, type Context } from "./context.ts";
import { usage, type Flags } from "./flags.ts";
import { naming } from "./named-input.ts";
import { PUBLIC_GOOD } from "./signing-flags.ts";
import { loadChosenTrust, tufOptions } from "./trust-choice.ts";

const OIDC_VERSIONS = [1];

/** Is what a signature is made with. */
export interface ChosenServices {
  readonly services: ServiceChoice;
  readonly trust: NonNullable<SigningOptions["trust"]>;
  /** Where a person logs in; absent where nothing says so. */
  readonly oidcIssuer: string | undefined;
  /** Whether the services were named by cosign's older flags: then it asks before it writes to a log. */
  readonly namedByUrl: boolean;
  readonly timestampFetch: Fetch | undefined;
}

const URL_FLAGS = [
  ["rekor-url", PUBLIC_GOOD.rekor],
  ["fulcio-url", PUBLIC_GOOD.fulcio],
  ["oidc-issuer", PUBLIC_GOOD.oidc],
  ["timestamp-server-url", undefined],
] as const;

/** Says whether services come from a signing config, of a file or of TUF. */
export function usesSigningConfig(flags: Flags): boolean {
  return flags.has("signing-config") || flags.boolean("use-signing-config", true);
}

/**
 * Checks the flags for services before anything is loaded.
 *
 * @throws InputError `USAGE_INVALID`, with the words that scripts know from cosign.
 */
export function checkServiceFlags(flags: Flags): void {
  if (flags.has("signing-config") && flags.has("use-signing-config")) {
    throw usage(`${flags.nameOf("signing-config")} and ${flags.nameOf("use-signing-config")} exclude one another`, {
      remedy: "leave --use-signing-config out: a config that is named is used",
    });
  }
  for (const name of ["signing-config", "trusted-root"]) {
    if (flags.boolean("staging") && flags.has(name)) {
      throw usage(`--staging names services and a trusted root, so ${flags.nameOf(name)} cannot be given too`, {
        remedy: "leave one of both out",
      });
    }
  }
  if (!usesSigningConfig(flags)) {
    if (flags.boolean("staging"))
      throw usage("--staging needs the signing config of the staging instance", {
        remedy: "leave --use-signing-config=false out",
      });
    return;
  }
  const url = URL_FLAGS.find(([name, usual]) => flags.has(name) && flags.string(name) !== usual);
  if (url !== undefined) {
    throw usage("cannot specify service URLs and use signing config", {
      remedy: `add --use-signing-config=false, or name the services in a signing config and leave ${flags.nameOf(url[0])} out`,
    });
  }
  if (!flags.boolean("tlog-upload", true)) {
    throw usage("--tlog-upload=false is not supported with --signing-config or --use-signing-config", {
      remedy:
        "give a signing config without a transparency log: cosign-ts signing-config create --with-default-services --no-default-rekor",
    });
  }
}

/**
 * Loads what the flags name.
 *
 * @param keyless - Whether a certificate is asked for.
 * @throws InputError, FormatError, TrustError, ServiceError.
 */
export async function chooseServices(flags: Flags, keyless: boolean, context: Context): Promise<ChosenServices> {
  const instance = flags.boolean("staging") ? "staging" : undefined;
  const tuf = await tufOptions(flags, context, instance);
  const trust = flags.has("trusted-root") ? (await loadChosenTrust(flags, context)).trustedRoot : tuf;
  const timestampFetch = await readTimestampFetch(flags, context);
  if (!usesSigningConfig(flags)) {
    return {
      services: servicesByUrl(flags, keyless),
      trust,
      oidcIssuer: flags.string("oidc-issuer") ?? PUBLIC_GOOD.oidc,
      namedByUrl: true,
      timestampFetch,
    };
  }
  const { config, reload } = await loadConfig(flags.string("signing-config"), tuf, context);
  const { oidcUrls } = config;
  return {
    services: { kind: "signing-config", signingConfig: reload ?? config },
    trust,
    oidcIssuer:
      keyless && oidcUrls.length > 0
        ? selectService(oidcUrls, { supportedVersions: OIDC_VERSIONS, now: context.now() }).url
        : undefined,
    namedByUrl: false,
    timestampFetch,
  };
}

function servicesByUrl(flags: Flags, keyless: boolean): ServiceChoice {
  const timestampUrl = flags.string("timestamp-server-url");
  return {
    kind: "urls",
    fulcioUrl: keyless ? (flags.string("fulcio-url") ?? PUBLIC_GOOD.fulcio) : undefined,
    rekor: flags.boolean("tlog-upload", true)
      ? [{ url: flags.string("rekor-url") ?? PUBLIC_GOOD.rekor, majorApiVersion: 1 }]
      : [],
    timestampUrls: timestampUrl === undefined ? [] : [timestampUrl],
  };
}

/** @returns also how to load the config again, where a log of it takes no more entries. */
async function loadConfig(
  path: string | undefined,
  tuf: LoadTrustOptions,
  context: Context,
): Promise<{ readonly config: SigningConfig; readonly reload?: () => Promise<SigningConfig> }> {
  if (path !== undefined) {
    const bytes = await readInputFile(path, MAX_TRUST_FILE_BYTES, "signing config");
    return { config: await naming(path, () => parseSigningConfig(bytes)) };
  }
  const { signingConfig, notices } = await loadSigningConfig(tuf);
  for (const text of notices) warn(context, text);
  let first = true;
  return {
    config: signingConfig,
    reload: async () => {
      if (!first) return (await loadSigningConfig({ ...tuf, maxAgeMs: 0 })).signingConfig;
      first = false;
      return signingConfig;
    },
  };
}

async function readTimestampFetch(flags: Flags, context: Context): Promise<Fetch | undefined> {
  const read = async (name: string): Promise<string | undefined> => {
    const path = flags.string(name);
    if (path === undefined) return undefined;
    return Buffer.from(await readInputFile(path, MAX_CERTIFICATE_FILE_BYTES, name)).toString();
  };
  const tls: TlsOptions = {
    caCertificates: await read("timestamp-client-cacert"),
    certificate: await read("timestamp-client-cert"),
    privateKey: await read("timestamp-client-key"),
    serverName: flags.string("timestamp-server-name"),
  };
  if (Object.values(tls).every((value) => value === undefined) || flags.boolean("offline")) return undefined;
  return fetchFor(context.environment, tls);
}
