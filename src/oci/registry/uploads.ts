/**
 * Blobs on their way into a registry: mounted from another repository of it, in one piece, or in several.
 *
 * @module
 */

import { concatBytes } from "../../encoding/bytes.ts";
import { ServiceError, VerificationError } from "../../errors.ts";
import type { HttpAnswer } from "../../http/request.ts";
import { MAX_REGISTRY_PAGE_BYTES, MAX_UPLOAD_PIECE_BYTES } from "../../limits.ts";
import type { RegistryScope } from "./authorization.ts";
import type { Descriptor } from "../manifest.ts";
import type { RegistrySession } from "./registry-session.ts";

/** Bytes of a blob that is put in one piece, and of each piece of a larger one. */
const PIECE_BYTES = 16 * 1024 * 1024;
/** Requests for one piece, of which the registry may say that it took only a part. */
const MAX_PIECE_REQUESTS = 8;

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
 * @throws ServiceError, `SERVICE_RESPONSE_INVALID` for one that leads to another host among them; VerificationError
 * `CONTENT_SIZE_MISMATCH` for content of another length, and what the stream throws.
 * @see opencontainers/distribution-spec spec.md, "Pushing blobs"
 */
export async function uploadBlob(
  upload: Upload,
  descriptor: Descriptor,
  content: Uint8Array | AsyncIterable<Uint8Array>,
  mountFrom?: string,
): Promise<"mounted" | "uploaded"> {
  const { digest, size } = descriptor;
  if (mountFrom !== undefined && (await isMounted(upload, digest, mountFrom))) return "mounted";
  const started = await ask(upload, "POST", `${upload.repository}/blobs/uploads/`, [202]);
  let at = locationOf(upload, started);
  if (at === undefined) throw invalid(upload, "does not say where a blob is put", "a Location", "none");
  const minimum = Number(/^\d{1,12}$/.exec(started.headers.get("oci-chunk-min-length") ?? "")?.[0] ?? 0);
  const pieceBytes = Math.min(Math.max(PIECE_BYTES, minimum), MAX_UPLOAD_PIECE_BYTES);
  let sent = 0;
  for await (const piece of inPieces(content, pieceBytes)) {
    if (sent + piece.length > size) throw wrongSize(descriptor, `at least ${sent + piece.length} bytes`);
    if (sent === 0 && piece.length === size) {
      await finish(upload, at, descriptor, piece);
      return "uploaded";
    }
    at = await sendPiece(upload, at, piece, sent);
    sent += piece.length;
  }
  if (sent !== size) throw wrongSize(descriptor, `${sent} bytes`);
  await finish(upload, at, descriptor);
  return "uploaded";
}

/** Asks the registry to take a blob from another repository. Where that cannot be, for whatever reason, it is sent. */
async function isMounted(upload: Upload, digest: string, from: string): Promise<boolean> {
  const query = new URLSearchParams({ mount: digest, from }).toString();
  try {
    const { status } = await ask(upload, "POST", `${upload.repository}/blobs/uploads/?${query}`, [201, 202]);
    return status === 201;
  } catch (error) {
    if (error instanceof ServiceError && error.status !== undefined && !error.retryable) return false;
    throw error;
  }
}

/** Sends one piece, and what the registry did not take of it, again. @returns where the next one goes. */
async function sendPiece(upload: Upload, location: string, piece: Uint8Array, offset: number): Promise<string> {
  const end = offset + piece.length;
  let at = location;
  let next = offset;
  for (let requests = 1; next < end; requests += 1) {
    if (requests > MAX_PIECE_REQUESTS)
      throw invalid(upload, "does not take a piece of a blob", `bytes up to ${end}`, `bytes up to ${next}`);
    const body = piece.subarray(next - offset);
    const answer = await upload.session.send({
      method: "PATCH",
      target: at,
      scope: upload.scope,
      accept: [202, 204, 416],
      maxBytes: MAX_REGISTRY_PAGE_BYTES,
      headers: { "content-type": "application/octet-stream", "content-range": `${next}-${end - 1}` },
      body,
    });
    at = locationOf(upload, answer) ?? at;
    if (answer.status === 416) {
      // An attempt of which no answer came may have done its work nevertheless.
      const state = await ask(upload, "GET", at, [200, 204]);
      at = locationOf(upload, state) ?? at;
      next = receivedBytes(state) ?? -1;
      if (next < offset || next > end)
        throw invalid(upload, "has lost a part of a blob", `bytes up to ${offset}`, `bytes up to ${Math.max(0, next)}`);
      continue;
    }
    const received = receivedBytes(answer);
    // Registries that count in another way are not argued with: the digest tells in the end what they have.
    next = received !== undefined && received > next && received < end ? received : end;
  }
  return at;
}

/** How much of a blob is there, by what the registry says: `0-9` are ten bytes. `0-0` is what some say of none, too. */
function receivedBytes({ headers }: HttpAnswer): number | undefined {
  const last = /^(?:bytes=)?0-(\d{1,15})$/.exec(headers.get("range") ?? "")?.[1];
  return last === undefined ? undefined : last === "0" ? 0 : Number(last) + 1;
}

async function finish(upload: Upload, at: string, { digest, size }: Descriptor, body?: Uint8Array): Promise<void> {
  const { session, repository, scope } = upload;
  try {
    await session.send({
      method: "PUT",
      target: withDigest(at, digest),
      scope,
      accept: [201, 204],
      maxBytes: MAX_REGISTRY_PAGE_BYTES,
      headers: { "content-type": "application/octet-stream" },
      contentBytes: size,
      ...(body !== undefined && { body }),
    });
  } catch (error) {
    // The attempt before may have done its work, so that there is no upload any more.
    if (!(error instanceof ServiceError && error.status === 404 && (error.attempts ?? 1) > 1)) throw error;
    const target = `${repository}/blobs/${digest}`;
    const { status } = await session.send({ method: "HEAD", target, scope, accept: [200, 404], maxBytes: 0 });
    if (status !== 200) throw error;
  }
}

function ask(
  { session, scope }: Upload,
  method: "POST" | "GET",
  target: string,
  accept: readonly number[],
): Promise<HttpAnswer> {
  const request = { method, target, scope, accept, maxBytes: MAX_REGISTRY_PAGE_BYTES };
  return session.send(method === "GET" ? request : { ...request, headers: { "content-length": "0" }, body: "" });
}

/** Where the next request of an upload goes: the registry says it anew in each answer. */
function locationOf({ session }: Upload, { headers, url }: HttpAnswer): string | undefined {
  const location = headers.get("location");
  return location === null ? undefined : session.resolveOwn(location, url);
}

/** The query that is there belongs to the upload, and stays as it is. */
function withDigest(location: string, digest: string): string {
  return `${location}${location.includes("?") ? "&" : "?"}digest=${encodeURIComponent(digest)}`;
}

/** Gives content in pieces of one length, the last of which is shorter; one that is empty for no content. */
async function* inPieces(
  content: Uint8Array | AsyncIterable<Uint8Array>,
  pieceBytes: number,
): AsyncGenerator<Uint8Array> {
  if (content instanceof Uint8Array) {
    for (let at = 0; at < Math.max(1, content.length); at += pieceBytes) yield content.subarray(at, at + pieceBytes);
    return;
  }
  let held: Uint8Array[] = [];
  let length = 0;
  let isEmpty = true;
  for await (const chunk of content) {
    for (let at = 0; at < chunk.length;) {
      const part = chunk.subarray(at, at + pieceBytes - length);
      held.push(part);
      at += part.length;
      length += part.length;
      if (length < pieceBytes) continue;
      yield concatBytes(...held);
      isEmpty = false;
      held = [];
      length = 0;
    }
  }
  if (length > 0 || isEmpty) yield concatBytes(...held);
}

function wrongSize({ digest, size }: Descriptor, found: string): VerificationError {
  return new VerificationError("CONTENT_SIZE_MISMATCH", `blob ${digest} is of another size than it was said to be`, {
    expected: `${size} bytes`,
    found,
  });
}

function invalid({ session }: Upload, problem: string, expected: string, found: string): ServiceError {
  const service = `registry ${session.registry}`;
  return new ServiceError("SERVICE_RESPONSE_INVALID", `${service} ${problem}`, { service, expected, found });
}
