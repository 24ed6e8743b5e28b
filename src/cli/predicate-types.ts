/**
 * cosign's short names of predicate types.
 *
 * @module
 */

import { usage } from "./flags.ts";

/** Maps the names that `--type` knows to predicate types. */
export const PREDICATE_TYPES: Readonly<Record<string, string>> = {
  custom: "https://cosign.sigstore.dev/attestation/v1",
  slsaprovenance: "https://slsa.dev/provenance/v0.2",
  slsaprovenance02: "https://slsa.dev/provenance/v0.2",
  slsaprovenance1: "https://slsa.dev/provenance/v1",
  spdx: "https://spdx.dev/Document",
  spdxjson: "https://spdx.dev/Document",
  cyclonedx: "https://cyclonedx.org/bom",
  link: "https://in-toto.io/Link/v1",
  vuln: "https://cosign.sigstore.dev/attestation/vuln/v1",
  openvex: "https://openvex.dev/ns",
};

/** Finds the predicate type that a name or a URI stands for. @throws InputError `USAGE_INVALID`. */
export function predicateTypeOf(nameOrUri: string): string {
  if (Object.hasOwn(PREDICATE_TYPES, nameOrUri)) return PREDICATE_TYPES[nameOrUri] ?? nameOrUri;
  if (URL.canParse(nameOrUri)) return nameOrUri;
  throw usage(`invalid predicate type: ${nameOrUri}`, {
    expected: `${Object.keys(PREDICATE_TYPES).join(", ")}, or an absolute URI`,
  });
}
