/**
 * The file that keeps an interrupted signature. It holds what services answered and what will be in the bundle anyway: never the
 * private key, never the token.
 *
 * @module
 */

import { parseBundleObject, serializeBundleObject, type Bundle } from "../bundle/bundle.ts";
import { parsePublicKey, type PublicKey } from "../crypto/public-key.ts";
import { encodeBase64 } from "../encoding/base64.ts";
import { encodeCanonicalJson } from "../encoding/canonical-json.ts";
import { parseJson, type JsonObject, type JsonValue } from "../encoding/json.ts";
import { JsonReader } from "../encoding/json-reader.ts";
import { FormatError, InputError, SigstoreError, StorageError } from "../errors.ts";
import {
  MAX_BUNDLE_BYTES,
  MAX_DETACHED_SCT_BYTES,
  MAX_KEY_FILE_BYTES,
  MAX_TIMESTAMPS,
  MAX_TLOG_ENTRIES,
} from "../limits.ts";
import { replaceFile } from "../storage/replace-file.ts";
import { parseDetachedSct, serializeDetachedSct, type SignedCertificateTimestamp } from "../x509/sct.ts";
import type { SelectedServices } from "./events.ts";

const { closeSync, constants, fstatSync, openSync, readFileSync, rmSync } = process.getBuiltinModule("node:fs");

const MEDIA_TYPE = "application/vnd.cosign-ts.signing-state.v1+json";

/** Says which artifact and which options a state belongs to; every member is compared. */
export type SigningBinding = Readonly<Record<string, JsonValue>>;

/** Is a signature that exists, with what services have answered so far. */
export interface SigningState {
  readonly binding: SigningBinding;
  readonly publicKey: PublicKey;
  /** Name of the signature algorithm. */
  readonly algorithm: string;
  readonly services: SelectedServices;
  readonly detachedScts: readonly SignedCertificateTimestamp[];
  /** What there is of the bundle. */
  readonly bundle: Bundle;
  /** Where each timestamp of the bundle came from, in its order. */
  readonly timestampedBy: readonly string[];
  /** Where each entry of the bundle came from, in its order. */
  readonly loggedBy: readonly string[];
  /** The log that was being written to: whether it has the entry is not known. */
  readonly submittingTo: string | undefined;
}

/** Writes a state whole or not at all, readable by its owner alone. @throws {@link StorageError} `WRITE_FAILED`. */
export function storeState(path: string, state: SigningState): void {
  const text = JSON.stringify({
    mediaType: MEDIA_TYPE,
    binding: state.binding,
    publicKey: encodeBase64(state.publicKey.spki),
    algorithm: state.algorithm,
    services: {
      ...(state.services.fulcio !== undefined && { fulcio: state.services.fulcio }),
      rekor: state.services.rekor.map(({ url, majorApiVersion }) => ({ url, majorApiVersion })),
      timestampAuthorities: state.services.timestampAuthorities,
    },
    detachedScts: state.detachedScts.map(serializeDetachedSct),
    bundle: serializeBundleObject(state.bundle),
    timestampedBy: state.timestampedBy,
    loggedBy: state.loggedBy,
    ...(state.submittingTo !== undefined && { submittingTo: state.submittingTo }),
  });
  try {
    replaceFile(path, text, 0o600);
  } catch (cause) {
    throw new StorageError(
      "WRITE_FAILED",
      `could not keep the signing state in ${JSON.stringify(path)}: ${codeOf(cause)}`,
      {
        remedy: "name a file in a folder that can be written to, or sign without a state file",
        cause,
      },
    );
  }
}

/** Removes a state. @throws {@link StorageError} `WRITE_FAILED`. */
export function removeState(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (cause) {
    throw new StorageError(
      "WRITE_FAILED",
      `could not remove the signing state ${JSON.stringify(path)}: ${codeOf(cause)}`,
      {
        remedy: "remove the file",
        cause,
      },
    );
  }
}

/**
 * Reads a state. What is in it is claimed, not proven, as if the services had answered it anew.
 *
 * @returns `undefined` where there is none.
 * @throws {@link FormatError} `SIGNING_STATE_MALFORMED`; {@link InputError} `SIGNING_STATE_MISMATCH` for a file that somebody else
 * could have written; {@link StorageError} `CACHE_UNREADABLE`.
 */
export function loadState(path: string): SigningState | undefined {
  const text = readOwnFile(path);
  if (text === undefined) return undefined;
  try {
    return parseState(text);
  } catch (cause) {
    if (!(cause instanceof SigstoreError)) throw cause;
    throw new FormatError(
      "SIGNING_STATE_MALFORMED",
      `signing state ${JSON.stringify(path)} cannot be read: ${cause.message}`,
      { remedy: "remove the file to sign from the beginning", cause },
    );
  }
}

function readOwnFile(path: string): Uint8Array | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)); // a pipe would wait for a writer
    const stats = fstatSync(fd);
    // Whoever can write it could put a signature of his own in place of ours.
    const foreign = process.getuid !== undefined && stats.uid !== process.getuid();
    if (!stats.isFile() || foreign || (process.platform !== "win32" && (stats.mode & 0o022) !== 0)) {
      throw new InputError("SIGNING_STATE_MISMATCH", `signing state ${JSON.stringify(path)} is not this user's alone`, {
        expected: "a file that only this user can write",
        found: stats.isFile() ? `mode ${(stats.mode & 0o777).toString(8)}, owner ${stats.uid}` : "no file",
        remedy: "name another file",
      });
    }
    if (stats.size > 2 * MAX_BUNDLE_BYTES) {
      throw new FormatError("LIMIT_EXCEEDED", `signing state ${JSON.stringify(path)} is too large`, {
        expected: `at most ${2 * MAX_BUNDLE_BYTES} bytes`,
        found: `${stats.size}`,
      });
    }
    return readFileSync(fd);
  } catch (cause) {
    if (cause instanceof SigstoreError) throw cause;
    if (codeOf(cause) === "ENOENT") return undefined;
    throw new StorageError(
      "CACHE_UNREADABLE",
      `could not read the signing state ${JSON.stringify(path)}: ${codeOf(cause)}`,
      {
        remedy: "make it readable, or name another file",
        cause,
      },
    );
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function parseState(text: Uint8Array): SigningState {
  const json = parseJson(text, {
    what: "signing state",
    code: "SIGNING_STATE_MALFORMED",
    maxBytes: 2 * MAX_BUNDLE_BYTES,
  });
  const state = new JsonReader(json, "state", "SIGNING_STATE_MALFORMED").object([
    "mediaType",
    "binding",
    "publicKey",
    "algorithm",
    "services",
    "detachedScts",
    "bundle",
    "timestampedBy",
    "loggedBy",
    "submittingTo",
  ]);
  state.required("mediaType").oneOf([MEDIA_TYPE] as const);
  const binding = state.required("binding");
  binding.object();
  const services = state.required("services").object(["fulcio", "rekor", "timestampAuthorities"]);
  const fulcio = services.optional("fulcio")?.string();
  const bundle = parseBundleObject(state.required("bundle").value);
  const { tlogEntries, rfc3161Timestamps } = bundle.verificationMaterial;
  const timestampedBy = readUrls(state.required("timestampedBy"), MAX_TIMESTAMPS);
  const loggedBy = readUrls(state.required("loggedBy"), MAX_TLOG_ENTRIES);
  if (timestampedBy.length !== rfc3161Timestamps.length)
    state.required("timestampedBy").fail("does not fit the bundle");
  if (loggedBy.length !== tlogEntries.length) state.required("loggedBy").fail("does not fit the bundle");
  return {
    binding: binding.value as JsonObject,
    publicKey: parsePublicKey(state.required("publicKey").base64(MAX_KEY_FILE_BYTES)),
    algorithm: state.required("algorithm").string(),
    services: {
      fulcio,
      rekor: services.required("rekor").array(MAX_TLOG_ENTRIES).map(readRekor),
      timestampAuthorities: readUrls(services.required("timestampAuthorities"), MAX_TIMESTAMPS),
    },
    detachedScts: state
      .required("detachedScts")
      .array(1)
      .map((sct) => {
        const text = sct.string();
        if (text.length > MAX_DETACHED_SCT_BYTES) sct.fail("is too long");
        return parseDetachedSct(text);
      }),
    bundle,
    timestampedBy,
    loggedBy,
    submittingTo: state.optional("submittingTo")?.string(),
  };
}

function readUrls(reader: JsonReader, max: number): readonly string[] {
  return reader.array(max).map((url) => url.string());
}

function readRekor(reader: JsonReader): SelectedServices["rekor"][number] {
  const rekor = reader.object(["url", "majorApiVersion"]);
  const version = rekor.required("majorApiVersion").uint32();
  if (version !== 1 && version !== 2) reader.fail("is of an unknown generation");
  return { url: rekor.required("url").string(), majorApiVersion: version };
}

/**
 * Compares what a state was made for with what is asked for now.
 *
 * @throws {@link InputError} `SIGNING_STATE_MISMATCH`.
 */
export function verifyBinding(path: string, found: SigningBinding, expected: SigningBinding): void {
  for (const name of new Set([...Object.keys(expected), ...Object.keys(found)])) {
    const wanted = Object.hasOwn(expected, name) ? encodeCanonicalJson(expected[name] ?? null) : "nothing";
    const there = Object.hasOwn(found, name) ? encodeCanonicalJson(found[name] ?? null) : "nothing";
    if (wanted === there) continue;
    throw new InputError(
      "SIGNING_STATE_MISMATCH",
      `signing state ${JSON.stringify(path)} belongs to another signature: ${name} differs`,
      {
        expected: wanted.slice(0, 200),
        found: there.slice(0, 200),
        remedy: "name another file, or remove this one to give that signature up",
      },
    );
  }
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
}
