/**
 * What the commands that fetch what is attached to an image share.
 *
 * @module
 */

import { encodeBase64 } from "../../encoding/base64.ts";
import { parseJson, type JsonObject, type JsonValue } from "../../encoding/json.ts";
import { printableJson } from "../../encoding/printable.ts";
import { MAX_BUNDLE_BYTES } from "../../limits.ts";
import type { DownloadedContent, DownloadedImage, DownloadOptions } from "../../oci/download.ts";
import {
  CERTIFICATE_ANNOTATION,
  CHAIN_ANNOTATION,
  LOG_ENTRY_ANNOTATION,
  SIGNATURE_ANNOTATION,
  TIMESTAMP_ANNOTATION,
} from "../../oci/media-types.ts";
import { RESULT_VERSION } from "../../report/json.ts";
import { parseCertificatesPem } from "../../x509/certificate.ts";
import { trace, warn, type Context } from "../context.ts";
import type { Flag, Flags } from "../flags.ts";
import { openRegistry, readAttachmentLimit, REGISTRY_FLAGS } from "./registry-flags.ts";

/** Are the flags of every command that fetches what is attached. */
export const DOWNLOAD_FLAGS: readonly Flag[] = [
  {
    name: "platform",
    kind: "string",
    value: "OS/ARCH",
    description: "look at the manifest of this platform of an index",
  },
  {
    name: "output",
    short: "o",
    kind: "string",
    value: "FORMAT",
    choices: ["json"],
    description: "json: one document that says where each thing is",
  },
  ...REGISTRY_FLAGS,
];

/** Reads what the flags of {@link DOWNLOAD_FLAGS} say. @throws InputError. */
export async function readDownloadOptions(image: string, flags: Flags, context: Context): Promise<DownloadOptions> {
  flags.choice("output", ["json"]);
  return {
    ...(await openRegistry([image], flags, context)),
    platform: flags.string("platform"),
    maxBytes: readAttachmentLimit(context),
  };
}

/** Prints one JSON document a line, as cosign does; or with `--output json` one document with all of them. */
export function printDownloaded(image: DownloadedImage, flags: Flags, context: Context): void {
  for (const { location, outcome, skipped } of image.places) {
    trace(context, `looked at ${location}: ${outcome}`);
    for (const { digest, type, reason } of skipped) trace(context, `passed over ${digest} (${type}): ${reason}`);
  }
  for (const { content, layer } of image.malformed)
    if (content.kind === "malformed") warn(context, `${layer.digest} cannot be read: ${content.error.message}`);
  if (flags.string("output") !== "json") {
    for (const one of image.found) context.stdout.write(`${printableJson(documentOf(one))}\n`);
    return;
  }
  const result: JsonObject = {
    version: RESULT_VERSION,
    verdict: "downloaded",
    image: image.name,
    pinned: image.pinned,
    digest: image.digest,
    found: image.found.map((one) => ({
      kind: one.content.kind,
      place: one.place,
      manifest: one.manifest,
      layer: one.layer.digest,
      ...(one.predicateType !== undefined && { predicateType: one.predicateType }),
      document: documentOf(one),
    })),
  };
  context.stdout.write(`${printableJson(result)}\n`);
}

/** @see cosign, pkg/cosign/fetch.go `SignedPayload`, `AttestationPayload` */
function documentOf({ content, layer }: DownloadedContent): JsonValue {
  switch (content.kind) {
    case "bundle":
      return read(content.json);
    case "dsse":
      return read(content.envelope);
    case "simple-signing": {
      const annotations = layer.annotations ?? {};
      const json = (name: string): JsonValue => {
        const text = annotations[name] ?? "";
        return text === "" ? null : read(text);
      };
      const [certificate = null] = certificatesOf(annotations[CERTIFICATE_ANNOTATION]);
      const chain = certificatesOf(annotations[CHAIN_ANNOTATION]);
      return {
        Base64Signature: annotations[SIGNATURE_ANNOTATION] ?? "",
        Payload: encodeBase64(content.payload),
        Cert: certificate,
        Chain: chain.length === 0 ? null : chain,
        Bundle: json(LOG_ENTRY_ANNOTATION),
        RFC3161Timestamp: json(TIMESTAMP_ANNOTATION),
      };
    }
  }
}

/** Of what cosign prints of a certificate, the bytes: they hold the rest. */
function certificatesOf(pem = ""): readonly JsonObject[] {
  return pem === "" ? [] : parseCertificatesPem(pem).map(({ bytes }) => ({ Raw: encodeBase64(bytes) }));
}

/** It was parsed before: what is no JSON is malformed. */
function read(json: Uint8Array | string): JsonValue {
  return parseJson(json, { what: "attachment", code: "BUNDLE_MALFORMED", maxBytes: MAX_BUNDLE_BYTES });
}
