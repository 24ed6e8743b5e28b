/**
 * How content is answered: whole, in part, or not at all, as the conditions of a request want it; and how a registry that lies answers.
 *
 * @module
 */

import { encodeUtf8 } from "../../encoding/utf8.ts";
import { otherMediaType } from "./manifest.ts";
import { digestOf } from "./references.ts";

/** Is what is stored under a digest. */
export interface Content {
  readonly size: number;
  readonly digest: string;
  readonly mediaType: string;
  readonly stream: (start: number, end: number) => ReadableStream<Uint8Array>;
}

/** Answers with content, a part of it, or what is said about it. */
export function answerContent(
  { request, traits }: { readonly request: Request; readonly traits: ReadonlySet<string> },
  content: Content,
): Response {
  const { size, digest } = content;
  const etag = `"${digest}"`;
  const headers: Record<string, string> = {
    "content-type": traits.has("wrong-media-type") ? otherMediaType(content.mediaType) : content.mediaType,
    "docker-content-digest": traits.has("wrong-digest") ? digestOf(encodeUtf8(digest), "sha256") : digest,
    etag,
    "accept-ranges": "bytes",
  };
  if (listsTag(request.headers.get("if-none-match"), etag)) return new Response(null, { status: 304, headers });
  const range = readRange(request.headers, etag, size);
  if (range === "unsatisfiable")
    return new Response(null, { status: 416, headers: { "content-range": `bytes */${size}` } });
  const { start, end } = range ?? { start: 0, end: size };
  if (range !== undefined) headers["content-range"] = `bytes ${start}-${end - 1}/${size}`;
  const status = range === undefined ? 200 : 206;
  const isEndless = traits.has("endless-content") && request.method !== "HEAD";
  if (!isEndless) headers["content-length"] = `${end - start}`;
  if (request.method === "HEAD") return new Response(null, { status, headers });
  let body = content.stream(start, end);
  if (traits.has("wrong-bytes")) body = body.pipeThrough(flipFirstBit());
  if (isEndless) body = body.pipeThrough(goOn());
  return new Response(body, { status, headers });
}

function flipFirstBit(): TransformStream<Uint8Array, Uint8Array> {
  let isFirst = true;
  return new TransformStream({
    transform(piece, controller) {
      const [first] = piece;
      if (!isFirst || first === undefined) return controller.enqueue(piece);
      isFirst = false;
      const changed = Uint8Array.from(piece);
      changed[0] = first ^ 1;
      controller.enqueue(changed);
    },
  });
}

/** Goes on with white space, for longer than anybody should listen. */
function goOn(): ReadableWritablePair<Uint8Array, Uint8Array> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const reader = readable.getReader();
  const spaces = new Uint8Array(65_536).fill(0x20);
  let sent = 0;
  return {
    writable,
    readable: new ReadableStream<Uint8Array>({
      async pull(controller) {
        const { value, done } = await reader.read();
        if (!done) return controller.enqueue(value);
        sent += spaces.length;
        if (sent > ENDLESS_BYTES) controller.close();
        else controller.enqueue(spaces.slice());
      },
      cancel: (reason) => reader.cancel(reason),
    }),
  };
}

const ENDLESS_BYTES = 8 * 1024 * 1024 * 1024;

/** Reads one range of bytes; several, or something else, ask for everything. @see RFC 9110 §14.2 */
function readRange(
  headers: Headers,
  etag: string,
  size: number,
): { readonly start: number; readonly end: number } | "unsatisfiable" | undefined {
  const condition = headers.get("if-range");
  const [, from = "", to = ""] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(headers.get("range") ?? "") ?? [];
  if ((condition !== null && condition !== etag) || (from === "" && to === "")) return undefined;
  if (from === "")
    return to === "0" || size === 0 ? "unsatisfiable" : { start: Math.max(0, size - Number(to)), end: size };
  if (to !== "" && Number(to) < Number(from)) return undefined;
  if (Number(from) >= size) return "unsatisfiable";
  return { start: Number(from), end: to === "" ? size : Math.min(size, Number(to) + 1) };
}

/** Says whether what is there now is what the client takes it for. @see RFC 9110 §13.1 */
export function meetsConditions(headers: Headers, digest: string | undefined): boolean {
  const etag = digest === undefined ? undefined : `"${digest}"`;
  const wanted = headers.get("if-match");
  if (wanted !== null && (etag === undefined || !listsTag(wanted, etag))) return false;
  return etag === undefined || !listsTag(headers.get("if-none-match"), etag);
}

function listsTag(header: string | null, etag: string): boolean {
  const tags = header?.split(",").map((tag) => tag.trim().replace(/^W\//, "")) ?? [];
  return tags.includes("*") || tags.includes(etag);
}
