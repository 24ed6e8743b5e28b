/**
 * The bundle to verify with: the one that is named, or the one that lies beside the artifact.
 *
 * @module
 */

import { parseBundleObject, type Bundle } from "../bundle/bundle.ts";
import { isJsonLines, parseBundleLines, tryReadBundleList, type BundleCandidate } from "../bundle/bundle-candidates.ts";
import { isLegacyBundle, parseLegacyBundleObject, type SignatureParts } from "../bundle/legacy.ts";
import { parseJson, type JsonValue } from "../encoding/json.ts";
import { FormatError, InputError } from "../errors.ts";
import { exists, readInputFile } from "../files/read-file.ts";
import { MAX_BUNDLE_BYTES } from "../limits.ts";
import { notice, trace, type Context } from "./context.ts";
import type { Flags } from "./flags.ts";
import { naming } from "./named-input.ts";

/** Is what a bundle file holds: a Sigstore bundle, or the parts that cosign kept together before. */
export type BundleFile =
  { readonly kind: "bundle"; readonly bundle: Bundle } | { readonly kind: "legacy"; readonly parts: SignatureParts };

/** Is what a file holds that may have several attestations in it. */
export type AttestationFile =
  BundleFile | { readonly kind: "list"; readonly candidates: readonly [BundleCandidate, ...BundleCandidate[]] };

/**
 * Reads the bundle that `--bundle` names, otherwise the one of the artifact.
 *
 * @param operand - The artifact as it was given.
 * @throws InputError `BUNDLE_NOT_FOUND` and those of a file; FormatError; VerificationError `TLOG_ENTRY_DUPLICATE`.
 * @see Sigstore client specification §4.1.1
 */
export async function readBundleFile(operand: string | undefined, flags: Flags, context: Context): Promise<BundleFile> {
  const { path, bytes } = await readBytes(operand, flags, context);
  const file = await naming(path, () => parseBundleFile(bytes));
  const format = file.kind === "bundle" ? file.bundle.mediaType : "cosign's old format";
  trace(context, `bundle: ${path}, ${format}, ${bytes.length} bytes`);
  return file;
}

/**
 * Reads the attestations that `--bundle` names, of which there may be several in one file, otherwise the one of the artifact.
 *
 * @throws as {@link readBundleFile}; VerificationError `ATTESTATION_NOT_FOUND` for a list without any.
 */
export async function readAttestationFile(
  operand: string | undefined,
  flags: Flags,
  context: Context,
): Promise<AttestationFile> {
  const { path, bytes } = await readBytes(operand, flags, context);
  const file = await naming(path, (): AttestationFile => {
    if (isJsonLines(bytes)) return { kind: "list", candidates: parseBundleLines(bytes) };
    const json = readJson(bytes);
    const candidates = tryReadBundleList(json);
    return candidates === undefined ? readBundleJson(json) : { kind: "list", candidates };
  });
  const format =
    file.kind === "list"
      ? `${file.candidates.length} attestations`
      : file.kind === "bundle"
        ? file.bundle.mediaType
        : "cosign's old format";
  trace(context, `bundle: ${path}, ${format}, ${bytes.length} bytes`);
  return file;
}

async function readBytes(
  operand: string | undefined,
  flags: Flags,
  context: Context,
): Promise<{ readonly path: string; readonly bytes: Uint8Array }> {
  const path = flags.string("bundle") ?? (await findBundle(operand, context));
  return { path, bytes: await readInputFile(path, MAX_BUNDLE_BYTES, "bundle") };
}

/**
 * Parses a bundle file of either format.
 *
 * @throws FormatError; VerificationError `TLOG_ENTRY_DUPLICATE`, `KEY_HINT_MISMATCH`, `ALGORITHM_UNSUPPORTED`.
 */
export function parseBundleFile(bytes: Uint8Array): BundleFile {
  return readBundleJson(readJson(bytes));
}

function readJson(bytes: Uint8Array): JsonValue {
  return parseJson(bytes, { what: "bundle", code: "BUNDLE_MALFORMED", maxBytes: MAX_BUNDLE_BYTES });
}

function readBundleJson(json: JsonValue): BundleFile {
  if (isLegacyBundle(json)) return { kind: "legacy", parts: parseLegacyBundleObject(json) };
  try {
    return { kind: "bundle", bundle: parseBundleObject(json) };
  } catch (error) {
    if (!(error instanceof FormatError) || error.found?.includes("sigstore.trustedroot") !== true) throw error;
    throw new FormatError(error.code, "this is a trusted root, not a bundle", {
      remedy: "give it with --trusted-root, and the bundle with --bundle",
      cause: error,
    });
  }
}

async function findBundle(operand: string | undefined, context: Context): Promise<string> {
  const isFile = operand !== undefined && operand !== "-" && !/^https?:\/\//.test(operand);
  const candidates = isFile ? [`${operand}.sigstore.json`, `${operand}.sigstore`] : [];
  for (const candidate of candidates) {
    if (!(await exists(candidate))) continue;
    notice(context, `Using the bundle ${candidate}`);
    return candidate;
  }
  const [beside] = candidates;
  throw new InputError("BUNDLE_NOT_FOUND", "there is no bundle to verify with", {
    expected: beside === undefined ? "--bundle" : `--bundle, or a file ${beside}`,
    remedy: "give the bundle that was made when the file was signed",
  });
}
