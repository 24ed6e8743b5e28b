/**
 * Flags of a signature of an image that is in files, and of certificates that signatures from before bundles came without.
 *
 * @module
 */

import { readInputFile } from "../../files/read-file.ts";
import { MAX_ATTACHMENT_BYTES } from "../../limits.ts";
import type { DetachedSignature, LegacyMaterial } from "../../oci/legacy/detached-signature.ts";
import { warn, type Context } from "../context.ts";
import { usage, type Flag, type Flags } from "../flags.ts";
import {
  checkAuthorityFlags,
  checkTimestampFlags,
  readCertificateFile,
  readSignature,
  readTimestampFile,
} from "../signed-material.ts";

/** Are the flags of a signature in files. */
export const DETACHED_SIGNATURE_FLAGS: readonly Flag[] = ["signature", "payload", "rfc3161-timestamp"].map((name) => ({
  name,
  kind: "string",
  description: "",
  deprecated: "attach the signature to the image with attach signature",
}));

/**
 * Reads the certificates that the flags name.
 *
 * @throws InputError, ServiceError, FormatError.
 */
export async function readLegacyMaterial(flags: Flags, context: Context): Promise<LegacyMaterial> {
  checkAuthorityFlags(flags);
  const certificate = flags.string("certificate");
  const intermediates = flags.string("ca-intermediates");
  return {
    ...(certificate !== undefined && {
      certificate: (await readCertificateFile(certificate, "certificate", context))[0],
    }),
    ...(intermediates !== undefined && {
      intermediates: await readCertificateFile(intermediates, "intermediate certificates", context),
    }),
  };
}

/**
 * Reads the signature that the flags name, with what stands beside it.
 *
 * @throws InputError, ServiceError, FormatError.
 */
export async function readDetachedSignature(
  images: readonly string[],
  flags: Flags,
  context: Context,
): Promise<DetachedSignature | undefined> {
  const signature = flags.string("signature");
  if (signature === undefined) {
    const alone = DETACHED_SIGNATURE_FLAGS.find(({ name }) => flags.has(name));
    if (alone === undefined) return undefined;
    throw usage(`${flags.nameOf(alone.name)} needs --signature`, { remedy: "name the file with the signature" });
  }
  if (images.length > 1)
    throw usage(`${flags.nameOf("signature")} is of one image, not of ${images.length}`, {
      remedy: "name the image that it is of alone",
    });
  checkTimestampFlags(flags);
  const payload = flags.string("payload");
  const timestamp = flags.string("rfc3161-timestamp");
  if (payload === undefined)
    warn(context, "there is no --payload: what cosign signs for this image, without annotations, is taken for it");
  return {
    signature: await readSignature(signature, context),
    payload: payload === undefined ? undefined : await readInputFile(payload, MAX_ATTACHMENT_BYTES, "payload"),
    rfc3161Timestamps: timestamp === undefined ? [] : [await readTimestampFile(timestamp, context)],
  };
}
