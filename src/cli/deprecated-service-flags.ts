/**
 * cosign's older flags for the services of a trusted root: one flag for each part, matched by their order.
 *
 * @module
 */

import { usage, type Flag, type Flags } from "./flags.ts";
import type { ServiceFlag, ServiceSpec } from "./service-spec.ts";

/** Which part each flag gives; the first of a service says how many there are. */
const PARTS: Readonly<Record<ServiceFlag, Readonly<Record<string, string>>>> = {
  fulcio: { "certificate-chain": "certificate-chain", "fulcio-uri": "url" },
  ctfe: { "ctfe-key": "public-key", "ctfe-url": "url", "ctfe-start-time": "start-time", "ctfe-end-time": "end-time" },
  tsa: { "timestamp-certificate-chain": "certificate-chain", "timestamp-uri": "url" },
  rekor: {
    "rekor-key": "public-key",
    "rekor-url": "url",
    "rekor-start-time": "start-time",
    "rekor-end-time": "end-time",
  },
};
/** As in cosign: without a start, a log was always valid. */
const EPOCH = "1970-01-01T00:00:00Z";

/** Are the older flags, hidden. */
export const DEPRECATED_SERVICE_FLAGS: readonly Flag[] = Object.entries(PARTS).flatMap(([service, parts]) =>
  Object.keys(parts).map((name): Flag => ({
    name,
    kind: "strings",
    description: "",
    deprecated: `use --${service} instead`,
  })),
);

/** Reads the services that older flags describe. @throws InputError `USAGE_INVALID` where both forms are given. */
export function readDeprecatedSpecs(service: ServiceFlag, flags: Flags): readonly ServiceSpec[] {
  const parts = Object.entries(PARTS[service]);
  const given = parts.filter(([name]) => flags.has(name));
  if (given.length === 0) return [];
  if (flags.has(service))
    throw usage(`cannot use --${service} and old ${service} flags at the same time`, {
      remedy: `use --${service} alone`,
    });
  const [leading = ""] = parts[0] ?? [];
  const count = flags.strings(leading).length;
  const surplus = given.find(([name]) => flags.strings(name).length > count);
  if (surplus !== undefined)
    throw usage(`--${surplus[0]} is given more often than --${leading}`, { remedy: `use --${service}` });
  return flags.strings(leading).map((_, index) => {
    const spec: Record<string, string> = {};
    for (const [name, part] of parts) {
      const value = flags.strings(name)[index];
      if (value !== undefined) spec[part] = value;
    }
    if (service === "ctfe" || service === "rekor") spec["start-time"] ??= EPOCH;
    if (service !== "rekor") return spec;
    const [path = "", ...origin] = (spec["public-key"] ?? "").split(",");
    return { ...spec, "public-key": path, ...(origin.length === 0 ? {} : { origin: origin.join(",") }) };
  });
}
