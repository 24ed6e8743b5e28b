/**
 * What cosign wrote before bundles, made of bundles as cosign itself does: cmd/cosign/cli/signcommon/common.go,
 * `NewLegacyBundleFromProtoBundleComponents`. Nothing of the code under test makes any of it.
 *
 * @module
 */

import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Json } from "./json-edits.ts";
import { realBundle, realCase, realPath } from "./real.ts";

export interface LegacyFiles {
  /** The old bundle. */
  readonly bundle: Json;
  /** The signature, or the envelope as JSON. */
  readonly signature: Buffer;
  readonly certificatePem: string | undefined;
  readonly timestamp: Json | undefined;
}

/** The value at a dotted path, if there is one. */
function at(json: Json, path: string): unknown {
  return path.split(".").reduce<unknown>((value, key) => (value as Json | undefined)?.[key], json);
}

/** Takes a bundle of Rekor v1 apart. */
export function legacyOf(json: Json, publicKeyPem?: string): LegacyFiles {
  const material = json["verificationMaterial"] as Json;
  const raw = at(material, "certificate.rawBytes") as string | undefined;
  const certificatePem = raw === undefined ? undefined : new X509Certificate(Buffer.from(raw, "base64")).toString();
  const signature = Buffer.from(
    json["dsseEnvelope"] === undefined
      ? Buffer.from(at(json, "messageSignature.signature") as string, "base64")
      : JSON.stringify(json["dsseEnvelope"]),
  );
  const signer = certificatePem ?? publicKeyPem;
  const [entry] = (material["tlogEntries"] ?? []) as readonly Json[];
  const [timestamp] = (at(material, "timestampVerificationData.rfc3161Timestamps") ?? []) as readonly Json[];
  return {
    bundle: {
      base64Signature: signature.toString("base64"),
      ...(signer === undefined ? {} : { cert: Buffer.from(signer).toString("base64") }),
      ...(entry === undefined ? {} : { rekorBundle: rekorBundleOf(entry) }),
    },
    signature,
    certificatePem,
    timestamp: timestamp === undefined ? undefined : { SignedRFC3161Timestamp: timestamp["signedTimestamp"] },
  };
}

function rekorBundleOf(entry: Json): Json {
  return {
    SignedEntryTimestamp: at(entry, "inclusionPromise.signedEntryTimestamp") ?? "",
    Payload: {
      body: entry["canonicalizedBody"],
      integratedTime: Number(entry["integratedTime"] ?? 0),
      logIndex: Number(entry["logIndex"] ?? 0),
      logID: Buffer.from(at(entry, "logId.keyId") as string, "base64").toString("hex"),
    },
  };
}

/** Takes a bundle of `testdata/real` apart. */
export function legacyReal(name: string): LegacyFiles {
  const { signer } = realCase(name);
  return legacyOf(
    realBundle(name),
    signer.kind === "certificate" ? undefined : readFileSync(realPath(signer.key), "utf8"),
  );
}
