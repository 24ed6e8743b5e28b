/**
 * `cosign-ts trusted-root create`: a trusted root for an instance of one's own.
 *
 * @module
 */

import { encodeHex } from "../../encoding/hex.ts";
import { serializeTrustedRoot, type TransparencyLogInstance, type TrustedRoot } from "../../trust/trusted-root.ts";
import { loadTrust } from "../../tuf/load-trust.ts";
import { warn, type Command, type Context } from "../context.ts";
import { DEPRECATED_SERVICE_FLAGS, readDeprecatedSpecs } from "../deprecated-service-flags.ts";
import { usage, type Flags } from "../flags.ts";
import { writeOutput } from "../output-file.ts";
import { parseServiceSpec, readAuthority, readLog, type ServiceFlag, type ServiceSpec } from "../service-spec.ts";

const MEDIA_TYPE = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";
const AUTHORITY = "url=URL,certificate-chain=FILE[,start-time=TIME,end-time=TIME]; may be repeated";
const LOG = "url=URL,public-key=FILE,start-time=TIME[,end-time=TIME,origin=NAME]; may be repeated";
const SERVICES = ["fulcio", "ctfe", "tsa", "rekor"] as const;

type Services = Pick<TrustedRoot, "tlogs" | "ctlogs" | "certificateAuthorities" | "timestampAuthorities">;

/** Writes a trusted root from certificates and keys, alone or added to the public-good instance's. */
export const trustedRootCreate: Command = {
  name: "trusted-root create",
  summary: "Write a trusted root file for a Sigstore instance of one's own.",
  operands: "",
  minOperands: 0,
  maxOperands: 0,
  environment: false,
  flags: [
    { name: "fulcio", kind: "strings", value: "SPEC", description: `certificate authority: ${AUTHORITY}` },
    { name: "ctfe", kind: "strings", value: "SPEC", description: `certificate transparency log: ${LOG}` },
    { name: "tsa", kind: "strings", value: "SPEC", description: `timestamp authority: ${AUTHORITY}` },
    {
      name: "rekor",
      kind: "strings",
      value: "SPEC",
      description: `transparency log, with the origin of its checkpoints for Rekor v2: ${LOG}`,
    },
    { name: "with-default-services", kind: "boolean", description: "add the services of the public-good instance" },
    ...SERVICES.map((service) => ({
      name: `no-default-${service}`,
      kind: "boolean" as const,
      description: `without the public-good ${service}`,
    })),
    { name: "offline", kind: "boolean", description: "take the default services from the cache or this package" },
    {
      name: "out",
      kind: "string",
      value: "FILE",
      description: "write to a file in place of standard output; if that fails, the file stays as it was",
    },
    ...DEPRECATED_SERVICE_FLAGS,
  ],
  examples: [
    "cosign-ts trusted-root create --fulcio url=https://fulcio.example.com,certificate-chain=ca.pem --ctfe url=https://ctfe.example.com,public-key=ctfe.pub,start-time=2026-01-01T00:00:00Z --rekor url=https://rekor.example.com,public-key=rekor.pub,start-time=2026-01-01T00:00:00Z --out trusted_root.json",
    "cosign-ts trusted-root create --with-default-services --offline --out trusted_root.json",
  ],
  async run(_operands, flags, context) {
    const own = await readServices(flags, context);
    const defaults = await loadDefaults(flags, context);
    const text = serializeTrustedRoot({
      mediaType: MEDIA_TYPE,
      tlogs: replaceLogs(defaults.tlogs, own.tlogs),
      certificateAuthorities: [...defaults.certificateAuthorities, ...own.certificateAuthorities],
      ctlogs: replaceLogs(defaults.ctlogs, own.ctlogs),
      timestampAuthorities: [...defaults.timestampAuthorities, ...own.timestampAuthorities],
      unusable: [],
      ignoredFields: [],
    });
    writeOutput(`${JSON.stringify(JSON.parse(text), undefined, 2)}\n`, flags.string("out"), context);
    return 0;
  },
};

async function readServices(flags: Flags, context: Context): Promise<Services> {
  const specs = (flag: ServiceFlag): readonly ServiceSpec[] => [
    ...flags.strings(flag).map((text) => parseServiceSpec(flag, text)),
    ...readDeprecatedSpecs(flag, flags),
  ];
  const [fulcio, ctfe, tsa, rekor] = SERVICES.map(specs);
  if ([fulcio, ctfe, tsa, rekor].every((one) => one?.length === 0) && !flags.boolean("with-default-services")) {
    throw usage("a trusted root without any service trusts nobody", {
      remedy: "give --fulcio, --ctfe, --tsa, --rekor or --with-default-services",
    });
  }
  if (ctfe?.some((spec) => spec["origin"] !== undefined) === true) {
    warn(context, "origin= has no effect for --ctfe: a certificate transparency log is known by the hash of its key");
  }
  return {
    certificateAuthorities: await Promise.all((fulcio ?? []).map((spec) => readAuthority("fulcio", spec))),
    ctlogs: await Promise.all((ctfe ?? []).map((spec) => readLog("ctfe", spec))),
    timestampAuthorities: await Promise.all((tsa ?? []).map((spec) => readAuthority("tsa", spec))),
    tlogs: await Promise.all((rekor ?? []).map((spec) => readLog("rekor", spec))),
  };
}

async function loadDefaults(flags: Flags, context: Context): Promise<Services> {
  const without = (service: (typeof SERVICES)[number]): boolean => flags.boolean(`no-default-${service}`);
  if (!flags.boolean("with-default-services")) {
    const unused = SERVICES.find(without);
    if (unused !== undefined)
      throw usage(`--no-default-${unused} needs --with-default-services`, { remedy: "leave it out, or give both" });
    return { tlogs: [], ctlogs: [], certificateAuthorities: [], timestampAuthorities: [] };
  }
  const { environment, fetch, signal } = context;
  const { trustedRoot, notices } = await loadTrust({
    instance: "production",
    offline: flags.boolean("offline"),
    environment,
    fetch,
    now: context.now(),
    signal,
  });
  for (const text of notices) warn(context, text);
  return {
    tlogs: without("rekor") ? [] : trustedRoot.tlogs,
    ctlogs: without("ctfe") ? [] : trustedRoot.ctlogs,
    certificateAuthorities: without("fulcio") ? [] : trustedRoot.certificateAuthorities,
    timestampAuthorities: without("tsa") ? [] : trustedRoot.timestampAuthorities,
  };
}

/** As in cosign, a log that is described takes the place of the default one with the same id. */
function replaceLogs(
  defaults: readonly TransparencyLogInstance[],
  own: readonly TransparencyLogInstance[],
): readonly TransparencyLogInstance[] {
  const byId = new Map(own.map((log) => [encodeHex(log.logId), log]));
  if (byId.size < own.length)
    throw usage("one and the same log is described twice", {
      remedy: "describe it once, with the time that spans both",
    });
  return [...defaults.filter(({ logId }) => !byId.has(encodeHex(logId))), ...own];
}
