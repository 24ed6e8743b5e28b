/**
 * Blobs on their way into a registry: mounted from another repository of it, in one piece, or in several.
 *
 * @module
 */

import { concatBytes } from "../encoding/bytes.ts";
import { VerificationError } from "../errors.ts";
import type { HttpAnswer } from "../http/request.ts";
import { MAX_REGISTRY_PAGE_BYTES } from "../limits.ts";
import type { RegistryScope } from "./authorization.ts";
import type { Descriptor } from "./manifest.ts";
import type { RegistrySession } from "./registry-session.ts";

/** Bytes of a blob that is put in one piece, and of each piece of a larger one. */
const PIECE_BYTES = 16 * 1024 * 1024;

/** Is where a blob is put. */
interface Upload {
  readonly session: RegistrySession;
  readonly repository: string;
  readonly scope: RegistryScope;
}

/**
 * Puts a blob into a repository.
 *
 * @param content - Its bytes, or a stream of them, of which no more than one piece is held in memory.
 * @param mountFrom - A repository of the same registry that has it: then nothing is sent, if the registry can do that.
 * @returns how it got there.
 * @throws ServiceError; VerificationError `CONTENT_SIZE_MISMATCH` for a stream of another length, and what the stream throws.
 * @see opencontainers/distribution-spec spec.md, "Pushing blobs"
 */
export async function uploadBlob(
  upload: Upload,
  descriptor: Descriptor,
  content: Uint8Array | AsyncIterable<Uint8Array>,
  mountFrom?: string,
): Promise<"mounted" | "uploaded"> {
  const { session, repository, scope } = upload;
  const { digest } = descriptor;
  const query = mountFrom === undefined ? "" : `?${new URLSearchParams({ mount: digest, from: mountFrom }).toString()}`;
  const started = await ask(upload, `${repository}/blobs/uploads/${query}`, "POST", [201, 202]);
  if (started.status === 201) return "mounted";
  let at = locationOf(session, started);
  if (content instanceof Uint8Array && content.length <= PIECE_BYTES) {
    await session.send({ ...putting(withDigest(at, digest)), scope, body: content });
    return "uploaded";
  }
  let sent = 0;
  for await (const piece of inPieces(content)) {
    const answer = await session.send({
      method: "PATCH",
      target: at,
      scope,
      accept: [202, 204],
      maxBytes: MAX_REGISTRY_PAGE_BYTES,
      headers: {
        "content-type": "application/octet-stream",
        "content-range": `${sent}-${sent + piece.length - 1}`,
      },
      body: piece,
    });
    sent += piece.length;
    at = locationOf(session, answer);
  }
  if (sent !== descriptor.size)
    throw new VerificationError("CONTENT_SIZE_MISMATCH", `blob ${digest} is of another size than it was said to be`, {
      expected: `${descriptor.size} bytes`,
      found: `${sent} bytes`,
    });
  await session.send({ ...putting(withDigest(at, digest)), scope });
  return "uploaded";
}

function putting(target: string) {
  return {
    method: "PUT",
    target,
    accept: [201, 204],
    maxBytes: MAX_REGISTRY_PAGE_BYTES,
    headers: { "content-type": "application/octet-stream" },
  } as const;
}

function ask(
  { session, scope }: Upload,
  target: string,
  method: "POST",
  accept: readonly number[],
): Promise<HttpAnswer> {
  return session.send({
    method,
    target,
    scope,
    accept,
    maxBytes: MAX_REGISTRY_PAGE_BYTES,
    headers: { "content-length": "0" },
    body: "",
  });
}

/** Where the next request of an upload goes: the registry says it anew in each answer. */
function locationOf(session: RegistrySession, { headers, url }: HttpAnswer): string {
  return session.resolveOwn(headers.get("location") ?? url, url);
}

/** The query that is there belongs to the upload, and stays as it is. */
function withDigest(location: string, digest: string): string {
  return `${location}${location.includes("?") ? "&" : "?"}digest=${encodeURIComponent(digest)}`;
}

async function* inPieces(content: Uint8Array | AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (content instanceof Uint8Array) {
    for (let at = 0; at < content.length; at += PIECE_BYTES) yield content.subarray(at, at + PIECE_BYTES);
    return;
  }
  let held: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of content) {
    held.push(chunk);
    length += chunk.length;
    if (length < PIECE_BYTES) continue;
    yield concatBytes(...held);
    held = [];
    length = 0;
  }
  if (length > 0) yield concatBytes(...held);
}
