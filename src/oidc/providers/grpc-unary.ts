/**
 * One gRPC call over a Unix socket: a message there, a message back.
 *
 * @module
 */

import type { IncomingHttpHeaders } from "node:http2";
import type { Duplex } from "node:stream";

import { concatBytes } from "../../encoding/bytes.ts";
import { ServiceError } from "../../errors.ts";
import { quoteServerWords } from "../../http/server-words.ts";
import { MAX_OIDC_RESPONSE_BYTES } from "../../limits.ts";

/** Is one call. */
export interface UnaryCall {
  readonly socketPath: string;
  /** `/package.Service/Method` */
  readonly method: string;
  readonly message: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

/** Says how a call is made. */
export interface UnaryOptions {
  readonly service: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Is what came back, headers and trailers together. */
interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly body: Uint8Array;
}

/** Statuses of gRPC that another try may change. */
const RETRYABLE: ReadonlySet<number> = new Set([4, 8, 10, 13, 14]);

/**
 * Makes a call and reads its answer.
 *
 * @throws {@link ServiceError} `HTTP_REQUEST_FAILED`, `HTTP_TIMEOUT`, `HTTP_RESPONSE_TOO_LARGE`, `OIDC_REQUEST_REFUSED` for a status
 * other than OK, `SERVICE_RESPONSE_INVALID`.
 * @see {@link https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md | gRPC over HTTP2}
 */
export async function callUnary(call: UnaryCall, options: UnaryOptions): Promise<Uint8Array> {
  const [{ connect: connectHttp2 }, { connect: connectSocket }] = await Promise.all([
    import("node:http2"),
    import("node:net"),
  ]);
  const { service, timeoutMs, signal } = options;
  signal?.throwIfAborted();
  const socket = connectSocket(call.socketPath);
  const session = connectHttp2("http://localhost", { createConnection: (): Duplex => socket });
  let timer: ReturnType<typeof setTimeout> | undefined;
  let abort: (() => void) | undefined;
  try {
    const answer = await new Promise<Answer>((resolve, reject) => {
      timer = setTimeout(() => {
        const details = { service, retryable: true, expected: `an answer within ${timeoutMs} ms` };
        reject(new ServiceError("HTTP_TIMEOUT", `${service} did not answer in time`, details));
      }, timeoutMs);
      abort = () => reject(signal?.reason as Error);
      signal?.addEventListener("abort", abort, { once: true });
      const unreachable = (cause: unknown): void => {
        const reason = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
        reject(
          new ServiceError("HTTP_REQUEST_FAILED", `could not reach ${service}: ${reason}`, {
            service,
            retryable: true,
            cause,
          }),
        );
      };
      // What the socket says is more telling than what comes of it.
      socket.on("error", unreachable);
      session.on("error", unreachable);
      const stream = session.request({
        ":method": "POST",
        ":path": call.method,
        "content-type": "application/grpc",
        te: "trailers",
        ...call.headers,
      });
      let headers: IncomingHttpHeaders = {};
      let trailers: IncomingHttpHeaders = {};
      const chunks: Uint8Array[] = [];
      let length = 0;
      stream.on("error", unreachable);
      stream.on("response", (received) => {
        headers = received;
      });
      stream.on("trailers", (received: IncomingHttpHeaders) => {
        trailers = received;
      });
      stream.on("data", (chunk: Uint8Array) => {
        length += chunk.length;
        if (length <= MAX_OIDC_RESPONSE_BYTES) chunks.push(chunk);
        else {
          const details = { service, expected: `at most ${MAX_OIDC_RESPONSE_BYTES} bytes`, found: `${length} bytes` };
          reject(
            new ServiceError("HTTP_RESPONSE_TOO_LARGE", `${service} answered with more than was asked for`, details),
          );
        }
      });
      // An answer without a message has its status in the headers.
      stream.on("end", () => {
        if (headers[":status"] !== undefined)
          resolve({ headers: { ...headers, ...trailers }, body: concatBytes(...chunks) });
      });
      stream.on("close", () => unreachable("connection closed"));
      stream.end(frame(call.message));
    });
    return readAnswer(answer, service);
  } finally {
    clearTimeout(timer);
    if (abort !== undefined) signal?.removeEventListener("abort", abort);
    session.destroy();
  }
}

/** Puts a message into its frame: not compressed, its length, itself. */
function frame(message: Uint8Array): Uint8Array {
  const framed = new Uint8Array(5 + message.length);
  new DataView(framed.buffer).setUint32(1, message.length);
  framed.set(message, 5);
  return framed;
}

function readAnswer({ headers, body }: Answer, service: string): Uint8Array {
  const invalid = (problem: string): ServiceError =>
    new ServiceError("SERVICE_RESPONSE_INVALID", `${service} gave ${problem}`, { service });
  const { ":status": httpStatus, "content-type": type, "grpc-status": status, "grpc-message": message } = headers;
  if (Number(httpStatus) !== 200 || !String(type).startsWith("application/grpc")) {
    throw invalid("an answer that is not of gRPC");
  }
  if (status === undefined) throw invalid("an answer that was cut off");
  if (status !== "0") {
    const words = typeof message === "string" ? quoteServerWords(decodePercent(message)) : undefined;
    throw new ServiceError("OIDC_REQUEST_REFUSED", `${service} refused${words === undefined ? "" : `: ${words}`}`, {
      service,
      retryable: RETRYABLE.has(Number(status)),
      expected: "gRPC status 0 (OK)",
      found: `gRPC status ${/^\d{1,3}$/.test(String(status)) ? String(status) : "unknown"}`,
      // PERMISSION_DENIED is what an agent says to a workload without an identity.
      remedy: status === "7" ? "register an identity for this workload with the SPIFFE server" : undefined,
    });
  }
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  if (body.length < 5 || body[0] !== 0 || view.getUint32(1) !== body.length - 5) {
    throw invalid("an answer that is not one whole message");
  }
  return body.subarray(5);
}

/** @see gRPC over HTTP2, "Percent-Encoded" */
function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
