import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Http2Server, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { explainProviders, getIdentityToken, type IdentityTokenOptions } from "../../../src/oidc/get-identity-token.ts";
import { containing, surroundings } from "../surroundings.ts";
import { EMAIL_CLAIMS, makeToken } from "../tokens.ts";

const TOKEN = makeToken({ ...EMAIL_CLAIMS, sub: "spiffe://example.org/build", email: undefined });

/** Encodes a field with a length, written out from the protobuf specification and not with the code under test. */
function field(number: number, content: string | Buffer): Buffer {
  const bytes = Buffer.from(content);
  const length = bytes.length < 128 ? [bytes.length] : [(bytes.length % 128) + 128, Math.floor(bytes.length / 128)];
  return Buffer.concat([Buffer.from([number * 8 + 2, ...length]), bytes]);
}
const svid = (token: string): Buffer =>
  Buffer.concat([field(1, "spiffe://example.org/build"), field(2, token), field(3, "hint")]);
const framed = (message: Buffer): Buffer => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
};

interface Agent {
  readonly options: IdentityTokenOptions;
  readonly calls: { readonly headers: IncomingHttpHeaders; readonly body: Buffer }[];
}

/** Starts an agent of SPIFFE's on a socket that ends with the test. */
async function startAgent(answer: (stream: ServerHttp2Stream) => void): Promise<Agent> {
  const folder = mkdtempSync(join(tmpdir(), "cosign-ts-spiffe-"));
  const path = join(folder, "api.sock");
  const calls: Agent["calls"] = [];
  const server: Http2Server = createServer();
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on("error", () => undefined);
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      calls.push({ headers, body: Buffer.concat(chunks) });
      answer(stream);
    });
  });
  server.on("sessionError", () => undefined);
  await new Promise<void>((resolve) => {
    server.listen(path, resolve);
  });
  onTestFinished(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });
  const exists = (asked: string): Promise<boolean> => Promise.resolve(asked === path);
  const base = surroundings({ SPIFFE_ENDPOINT_SOCKET: `unix://${path}` });
  return { calls, options: { ...base, provider: "spiffe", files: { ...base.files!, exists } } };
}

/** Answers as gRPC does: headers, a message, and the status behind it. */
function reply(
  stream: ServerHttp2Stream,
  body: Buffer,
  trailers: Record<string, string> = { "grpc-status": "0" },
  headers: Record<string, string | number> = {},
): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc", ...headers }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  stream.end(body);
}

const caught = (options: IdentityTokenOptions): Promise<unknown> =>
  getIdentityToken(options).then(
    () => undefined,
    (error: unknown) => error,
  );

describe("spiffe (SPIFFE Workload API §6.2.1, gRPC over HTTP/2)", () => {
  test("asks the agent for a JWT-SVID of the audience, and takes the first", async () => {
    const { options, calls } = await startAgent((stream) => {
      reply(stream, framed(Buffer.concat([field(1, svid(TOKEN)), field(1, svid("other"))])));
    });
    await expect(getIdentityToken(options)).resolves.toMatchObject({
      provider: "spiffe",
      token: { raw: TOKEN, subject: "spiffe://example.org/build" },
    });
    expect(calls).toHaveLength(1);
    expect(calls[0]?.headers).toMatchObject({
      ":method": "POST",
      ":path": "/SpiffeWorkloadAPI/FetchJWTSVID",
      "content-type": "application/grpc",
      "workload.spiffe.io": "true",
      te: "trailers",
    });
    expect(calls[0]?.body).toEqual(framed(field(1, "sigstore")));
  });

  test("takes the socket by its path alone, as cosign does", async () => {
    const { options } = await startAgent((stream) => reply(stream, framed(field(1, svid(TOKEN)))));
    const path = options.environment!["SPIFFE_ENDPOINT_SOCKET"]!.slice("unix://".length);
    const plain = { ...options, environment: { SPIFFE_ENDPOINT_SOCKET: path } };
    await expect(getIdentityToken(plain)).resolves.toMatchObject({ provider: "spiffe" });
  });

  test("reads a message that comes in pieces, with fields it does not know", async () => {
    const unknown = Buffer.from([0x78, 0xac, 0x02, 0x7d, 1, 2, 3, 4, 0x79, 1, 2, 3, 4, 5, 6, 7, 8]);
    const { options } = await startAgent((stream) => {
      const body = framed(Buffer.concat([unknown, field(1, Buffer.concat([unknown, svid(TOKEN)]))]));
      stream.respond({ ":status": 200, "content-type": "application/grpc+proto" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.write(body.subarray(0, 3));
      setImmediate(() => stream.end(body.subarray(3)));
    });
    await expect(getIdentityToken(options)).resolves.toMatchObject({ token: { raw: TOKEN } });
  });

  test("says that the workload has no identity, with the agent's words", async () => {
    const { options } = await startAgent((stream) => {
      // Without a message, the status comes at once.
      stream.respond(
        {
          ":status": 200,
          "content-type": "application/grpc",
          "grpc-status": "7",
          "grpc-message": "no identity%20issued",
        },
        { endStream: true },
      );
    });
    expect(await caught(options)).toMatchObject({
      code: "OIDC_REQUEST_REFUSED",
      retryable: false,
      service: "SPIFFE Workload API",
      message: containing("no identity issued"),
      remedy: containing("register an identity"),
    });
  });

  test.for<[string, (stream: ServerHttp2Stream) => void, string]>([
    [
      "without a status at its end",
      (stream) => reply(stream, framed(field(1, svid(TOKEN))), {}),
      "SERVICE_RESPONSE_INVALID",
    ],
    [
      "that failed after its message",
      (stream) => reply(stream, framed(field(1, svid(TOKEN))), { "grpc-status": "14" }),
      "OIDC_REQUEST_REFUSED",
    ],
    ["without any identity", (stream) => reply(stream, framed(Buffer.alloc(0))), "SERVICE_RESPONSE_INVALID"],
    [
      "with an identity without a token",
      (stream) => reply(stream, framed(field(1, field(1, "spiffe://a/b")))),
      "SERVICE_RESPONSE_INVALID",
    ],
    [
      "that is cut off",
      (stream) => reply(stream, framed(field(1, svid(TOKEN))).subarray(0, 90)),
      "SERVICE_RESPONSE_INVALID",
    ],
    [
      "that is compressed",
      (stream) => reply(stream, Buffer.concat([Buffer.from([1]), framed(field(1, svid(TOKEN))).subarray(1)])),
      "SERVICE_RESPONSE_INVALID",
    ],
    [
      "whose field is longer than it",
      (stream) => reply(stream, framed(Buffer.from([0x0a, 0x7f, 1]))),
      "SERVICE_RESPONSE_INVALID",
    ],
    ["whose number has no end", (stream) => reply(stream, framed(Buffer.alloc(20, 0xff))), "SERVICE_RESPONSE_INVALID"],
    [
      "with something that is no token",
      (stream) => reply(stream, framed(field(1, svid("abc")))),
      "IDENTITY_TOKEN_MALFORMED",
    ],
    ["that is larger than any", (stream) => reply(stream, Buffer.alloc(300 * 1024)), "HTTP_RESPONSE_TOO_LARGE"],
    [
      "with more behind its message",
      (stream) => reply(stream, Buffer.concat([framed(field(1, svid(TOKEN))), field(9, "x")])),
      "SERVICE_RESPONSE_INVALID",
    ],
    [
      "of another type",
      (stream) => reply(stream, framed(field(1, svid(TOKEN))), { "grpc-status": "0" }, { "content-type": "text/html" }),
      "SERVICE_RESPONSE_INVALID",
    ],
    [
      "with another status of HTTP and all else as it should be",
      (stream) => reply(stream, framed(field(1, svid(TOKEN))), { "grpc-status": "0" }, { ":status": 503 }),
      "SERVICE_RESPONSE_INVALID",
    ],
    [
      "of something that is no gRPC",
      (stream) => {
        stream.respond({ ":status": 200, "content-type": "text/html" });
        stream.end("<html>");
      },
      "SERVICE_RESPONSE_INVALID",
    ],
    [
      "with another status of HTTP",
      (stream) => {
        stream.respond({ ":status": 503, "content-type": "application/grpc" });
        stream.end();
      },
      "SERVICE_RESPONSE_INVALID",
    ],
    ["that is reset", (stream) => stream.close(8), "HTTP_REQUEST_FAILED"],
    ["of a connection that ends", (stream) => stream.session?.destroy(), "HTTP_REQUEST_FAILED"],
  ])("refuses an answer %s", async ([, answer, code]) => {
    const { options } = await startAgent(answer);
    expect(await caught(options)).toMatchObject({ code });
  });

  test("does not wait longer than it may", async () => {
    const { options } = await startAgent(() => undefined);
    expect(await caught({ ...options, timeoutMs: 50 })).toMatchObject({ code: "HTTP_TIMEOUT" });
  });

  test("ends with the caller's signal, and its reason", async () => {
    const controller = new AbortController();
    const { options } = await startAgent(() => controller.abort(new Error("enough")));
    await expect(getIdentityToken({ ...options, signal: controller.signal })).rejects.toThrow("enough");
  });

  test("fails where nobody listens", async () => {
    const { options } = await startAgent(() => undefined);
    const environment = { SPIFFE_ENDPOINT_SOCKET: "/no/such/socket" };
    const files = { ...options.files!, exists: () => Promise.resolve(true) };
    expect(await caught({ ...options, environment, files })).toMatchObject({
      code: "HTTP_REQUEST_FAILED",
      message: containing("ENOENT"),
    });
  });

  test.for(["tcp://127.0.0.1:8081", "http://agent.test"])("is not configured with the address %s", async (address) => {
    const options = { ...surroundings({ SPIFFE_ENDPOINT_SOCKET: address }), provider: "spiffe" };
    expect(await caught(options)).toMatchObject({
      code: "IDENTITY_TOKEN_UNAVAILABLE",
      remedy: containing("unix://"),
    });
  });
});

describe("spiffe at the socket of SPIRE's default, in /tmp", () => {
  const SOCKET = "/tmp/spire-agent/public/api.sock";
  const ME = process.getuid?.() ?? 0;
  const STRANGER = 4242;
  const OWN = { "/tmp/spire-agent": ME, "/tmp/spire-agent/public": 0, [SOCKET]: ME };
  const explain = async (
    owners: Readonly<Record<string, number>>,
    environment: Readonly<Record<string, string>> = {},
  ): Promise<unknown> => {
    const options = surroundings(environment, undefined, { [SOCKET]: "" }, owners);
    return (await explainProviders(options)).find(({ name }) => name === "spiffe");
  };

  test("takes what is this user's and root's", async () => {
    expect(await explain(OWN)).toMatchObject({ outcome: "used", reason: `the socket ${SOCKET} exists` });
  });

  test.for(Object.keys(OWN))("does not take it where %s is of another user, and says so", async (place) => {
    const strange = { ...OWN, [place]: STRANGER };
    expect(await explain(strange)).toMatchObject({
      outcome: "not-configured",
      reason: containing(`${place} belongs to the user ${STRANGER}`),
      remedy: containing("SPIFFE_ENDPOINT_SOCKET"),
    });
    const options = { ...surroundings({}, undefined, { [SOCKET]: "" }, strange), provider: "spiffe" };
    expect(await caught(options)).toMatchObject({ code: "IDENTITY_TOKEN_UNAVAILABLE" });
  });

  test("does not take it where nobody can tell whose it is", async () => {
    expect(await explain({})).toMatchObject({ outcome: "not-configured" });
  });

  test("takes it of anybody where it is named", async () => {
    const strange = { ...OWN, [SOCKET]: STRANGER };
    expect(await explain(strange, { SPIFFE_ENDPOINT_SOCKET: `unix://${SOCKET}` })).toMatchObject({ outcome: "used" });
  });
});
