import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { defaultCryptoProvider } from "../../src/crypto/provider.ts";
import { encodeTimestampRequest, requestTimestamp, type TimestampRequestOptions } from "../../src/timestamp/client.ts";
import { bits, bytes, der, int, octets, seq, utf8 } from "../support/certificates.ts";
import { temporaryFolder } from "../support/cli.ts";
import { answering, answeringBy, bytesAnswer, json, serve, type Asked } from "../support/http.ts";
import { sha256, utf8 as utf8Bytes } from "../support/logs.ts";
import { makeTimestampAuthority } from "../support/sandbox/authorities.ts";
import { algorithm, hash, makeTimestamp, TIMESTAMP_OIDS, type TimestampOptions } from "../support/timestamps.ts";

const URL_ = "https://tsa.test/api/v1/timestamp";
const crypto = defaultCryptoProvider();
const SIGNATURE = utf8Bytes("a signature");
const authority = makeTimestampAuthority();
const code = (value: string): unknown => expect.objectContaining({ code: value }) as unknown;

/** Finds the nonce of a request: the last INTEGER, before the optional certReq. */
function nonceIn({ body }: Asked): Uint8Array {
  const text = execFileSync("openssl", ["asn1parse", "-inform", "DER"], { input: body, encoding: "utf8" });
  const hex = [...text.matchAll(/INTEGER\s+:([0-9A-F]+)/g)].at(-1)?.[1] ?? "";
  const octetsOf = [...Buffer.from(hex.padStart(hex.length + (hex.length % 2), "0"), "hex")];
  return int(...((octetsOf[0] ?? 0) > 0x7f ? [0, ...octetsOf] : octetsOf));
}

/** Gives options whose `fetch` is an authority, and what that made. */
function answeringTimestamp(
  change: (asked: Asked) => Partial<TimestampOptions> = () => ({}),
): TimestampRequestOptions & { readonly asked: Asked[]; readonly made: Uint8Array[] } {
  const made: Uint8Array[] = [];
  const options = answeringBy((asked) => {
    const answer = makeTimestamp({ tsa: authority.tsa, data: SIGNATURE, nonce: nonceIn(asked), ...change(asked) });
    made.push(answer);
    return bytesAnswer(answer, 201, "application/timestamp-reply");
  });
  return { ...options, made, crypto };
}

describe("encodeTimestampRequest (RFC 3161 §2.4.1)", () => {
  test("writes what openssl ts writes", () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "data"), SIGNATURE);
    for (const [flag, algorithmName, length] of [
      ["-sha256", "sha256", 32],
      ["-sha512", "sha512", 64],
    ] as const) {
      const made = execFileSync(
        "openssl",
        ["ts", "-query", "-data", join(folder, "data"), flag, "-no_nonce", "-cert"],
        {
          stdio: "pipe",
        },
      );
      const value = hash(algorithmName, SIGNATURE);
      expect(value).toHaveLength(length);
      expect(
        Buffer.from(encodeTimestampRequest({ imprint: { algorithm: algorithmName, value }, certReq: true })),
      ).toEqual(made);
    }
  });

  test("leaves certReq out where it is not wanted, and writes the nonce", () => {
    const imprint = { algorithm: "sha256", value: sha256(SIGNATURE) } as const;
    expect(encodeTimestampRequest({ imprint, nonce: 0x80n, certReq: false })).toEqual(
      seq(int(1), seq(algorithm(TIMESTAMP_OIDS.sha256, der(5)), octets(imprint.value)), int(0, 0x80)),
    );
  });
});

describe("requestTimestamp", () => {
  test("asks for a timestamp over the hash alone, with certificate and nonce, and returns the answer as it is", async () => {
    const options = answeringTimestamp();
    const answer = await requestTimestamp(URL_, SIGNATURE, options);
    const [asked] = options.asked;
    expect([asked?.method, asked?.url, asked?.headers.get("content-type")]).toEqual([
      "POST",
      URL_,
      "application/timestamp-query",
    ]);
    const file = join(temporaryFolder(), "query");
    writeFileSync(file, asked?.body ?? "");
    const text = execFileSync("openssl", ["ts", "-query", "-text", "-in", file], { encoding: "utf8", stdio: "pipe" });
    expect(text).toMatch(/Hash Algorithm: sha256[^]*Nonce: 0x[^]*Certificate required: yes/);
    expect(Buffer.from(asked?.body ?? []).includes(Buffer.from(SIGNATURE))).toBe(false);
    expect(answer).toEqual(options.made[0]);
  });

  test("takes another nonce each time", async () => {
    const options = answeringTimestamp();
    await requestTimestamp(URL_, SIGNATURE, options);
    await requestTimestamp(URL_, SIGNATURE, options);
    const [first, second] = options.asked.map(({ body }) => Buffer.from(body).toString("hex"));
    expect(first).not.toBe(second);
  });

  test.for<[string, string, (asked: Asked) => Partial<TimestampOptions>]>([
    ["for something else", "TIMESTAMP_IMPRINT_MISMATCH", () => ({ data: utf8Bytes("something else") })],
    [
      "for the right bytes by another hash",
      "TIMESTAMP_IMPRINT_MISMATCH",
      () => ({ imprint: seq(algorithm(TIMESTAMP_OIDS.sha512), octets(hash("sha512", SIGNATURE))) }),
    ],
    [
      "for the same digest by a hash that nobody knows",
      "TIMESTAMP_IMPRINT_MISMATCH",
      () => ({ imprint: seq(algorithm(TIMESTAMP_OIDS.sha3_256), octets(sha256(SIGNATURE))) }),
    ],
    ["with another nonce", "TIMESTAMP_NONCE_MISMATCH", () => ({ nonce: int(0x12, 0x34) })],
    ["without a nonce", "TIMESTAMP_NONCE_MISMATCH", () => ({ nonce: bytes() })],
    [
      "that was not granted",
      "TIMESTAMP_NOT_GRANTED",
      () => ({ response: () => seq(seq(int(2), seq(utf8("no")), bits(bytes(0x20), 5))) }),
    ],
    ["that has no token", "SERVICE_RESPONSE_INVALID", () => ({ response: () => seq(seq(int(0))) })],
    ["that broke off", "SERVICE_RESPONSE_INVALID", () => ({ response: (all) => all.slice(0, -1) })],
  ])("refuses an answer %s", async ([, problem, change]) => {
    await expect(requestTimestamp(URL_, SIGNATURE, answeringTimestamp(change))).rejects.toThrow(code(problem));
  });

  test("stamps with another hash where that is asked for", async () => {
    const options = answeringTimestamp(() => ({
      imprint: seq(algorithm(TIMESTAMP_OIDS.sha384), octets(hash("sha384", SIGNATURE))),
    }));
    await expect(requestTimestamp(URL_, SIGNATURE, { ...options, hash: "sha384" })).resolves.toBeDefined();
  });

  test("says what the authority says where it refuses", async () => {
    const options = {
      ...answering(json({ code: 400, message: "Weak hash algorithm in timestamp request" }, 400)),
      crypto,
    };
    await expect(requestTimestamp(URL_, SIGNATURE, options)).rejects.toThrow(
      expect.objectContaining({
        code: "TIMESTAMP_REQUEST_REFUSED",
        service: "timestamp authority",
        status: 400,
        message: `timestamp authority (${URL_}) answered with status 400: "Weak hash algorithm in timestamp request"`,
      }),
    );
  });

  test("refuses a page of HTML, and more than a timestamp can be", async () => {
    const options = { ...answering(bytesAnswer("<html>", 200, "text/html")), crypto };
    await expect(requestTimestamp(URL_, SIGNATURE, options)).rejects.toThrow(code("SERVICE_RESPONSE_INVALID"));
    const large = { ...answering(bytesAnswer(new Uint8Array(256 * 1024 + 1))), crypto };
    await expect(requestTimestamp(URL_, SIGNATURE, large)).rejects.toThrow(code("HTTP_RESPONSE_TOO_LARGE"));
  });

  test("asks again after a reset", async () => {
    let requests = 0;
    const { url } = await serve((request, response) => {
      requests += 1;
      if (requests === 1) request.socket.destroy();
      else response.writeHead(400).end();
    });
    const options = { fetch, timeoutMs: 5000, crypto, sleep: () => Promise.resolve() };
    await expect(requestTimestamp(url, SIGNATURE, options)).rejects.toThrow(
      expect.objectContaining({ code: "TIMESTAMP_REQUEST_REFUSED", attempts: 2 }),
    );
  });
});
