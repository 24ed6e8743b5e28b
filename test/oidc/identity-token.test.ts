import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { inspect } from "node:util";
import fc from "fast-check";
import { decodeJwt, SignJWT } from "jose";
import { describe, expect, test } from "vitest";
import { SigstoreError } from "../../src/errors.ts";
import { checkIdentityToken, parseIdentityToken } from "../../src/oidc/identity-token.ts";
import { EMAIL_CLAIMS, GITHUB_CLAIMS, makeToken, NOW } from "./tokens.ts";

const code = (value: string): unknown => expect.objectContaining({ code: value });
const [HEADER = "", PAYLOAD = "", SIGNATURE = ""] = makeToken().split(".");

describe("parseIdentityToken (RFC 7515 §7.1, RFC 7519)", () => {
  test("reads what a token of GitHub Actions says", () => {
    const raw = makeToken(GITHUB_CLAIMS, { alg: "RS256", kid: "k", typ: "JWT" });
    expect(parseIdentityToken(raw)).toEqual({
      raw,
      algorithm: "RS256",
      claims: GITHUB_CLAIMS,
      issuer: "https://token.actions.githubusercontent.com",
      subject: "repo:octo-org/octo-repo:environment:prod",
      audience: ["sigstore"],
      expiresAt: new Date("2026-03-01T12:05:00Z"),
      issuedAt: new Date("2026-03-01T11:59:50Z"),
      notBefore: new Date("2026-03-01T11:50:00Z"),
    });
  });

  test.for(["RS256", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA"])(
    "takes a token that jose signed with %s, and agrees with it on the claims",
    async (algorithm) => {
      const raw = await new SignJWT({ ...EMAIL_CLAIMS }).setProtectedHeader({ alg: algorithm }).sign(keyFor(algorithm));
      expect(parseIdentityToken(raw)).toMatchObject({
        algorithm,
        claims: decodeJwt(raw),
        subject: "alice@example.com",
      });
    },
  );

  test.for([
    ["the e-mail address that is verified", { email_verified: true }, "alice@example.com"],
    [
      "the e-mail address that is verified in text, as some providers write it",
      { email_verified: "true" },
      "alice@example.com",
    ],
    ["the subject where the address is not verified", { email_verified: false }, EMAIL_CLAIMS.sub],
    ["the subject where nothing says that the address is verified", { email_verified: undefined }, EMAIL_CLAIMS.sub],
    ["the subject where verified is text for something else", { email_verified: "1" }, EMAIL_CLAIMS.sub],
    ["the subject where there is no address", { email: undefined }, EMAIL_CLAIMS.sub],
    [
      "the subject of a job, even with an address",
      { iss: "https://token.actions.githubusercontent.com" },
      EMAIL_CLAIMS.sub,
    ],
    [
      "the subject of a job of an enterprise",
      { iss: "https://token.actions.githubusercontent.com/octo" },
      EMAIL_CLAIMS.sub,
    ],
    [
      "the address of an issuer whose name only begins like that of jobs",
      { iss: "https://gitlab.com.evil.test" },
      "alice@example.com",
    ],
    ["an address without any subject", { sub: undefined }, "alice@example.com"],
  ] as const)("names %s", ([, change, expected]) => {
    expect(parseIdentityToken(makeToken({ ...EMAIL_CLAIMS, ...change })).subject).toBe(expected);
  });

  test("reads one audience, several, and none", () => {
    const audience = (aud: unknown): unknown => parseIdentityToken(makeToken({ ...EMAIL_CLAIMS, aud })).audience;
    expect(audience("one")).toEqual(["one"]);
    expect(audience(["one", "two"])).toEqual(["one", "two"]);
    expect(audience(undefined)).toEqual([]);
  });

  test("reads a fraction of a second", () => {
    const { expiresAt } = parseIdentityToken(makeToken({ ...EMAIL_CLAIMS, exp: 1_772_366_400.5 }));
    expect(expiresAt.toISOString()).toBe("2026-03-01T12:00:00.500Z");
  });

  test.for([
    ["is empty", ""],
    ["has no dot", HEADER],
    ["has two parts", `${HEADER}.${PAYLOAD}`],
    ["has four parts", `${HEADER}.${PAYLOAD}.${SIGNATURE}.${SIGNATURE}`],
    ["has five parts, as an encrypted one", `${HEADER}.${PAYLOAD}.${SIGNATURE}.${SIGNATURE}.${SIGNATURE}`],
    ["consists of dots", ".".repeat(30_000)],
    ["has white space before it", ` ${HEADER}.${PAYLOAD}.${SIGNATURE}`],
    ["has a line feed at its end", `${HEADER}.${PAYLOAD}.${SIGNATURE}\n`],
    ["has no signature", `${HEADER}.${PAYLOAD}.`],
    ["has a signature in plain base64", `${HEADER}.${PAYLOAD}.+/+/`],
    ["has padding behind its signature", `${HEADER}.${PAYLOAD}.QQ==`],
    ["has padding behind its header", `${Buffer.from('{"alg":"ES256"} ').toString("base64")}.${PAYLOAD}.${SIGNATURE}`],
    ["has a header that is not JSON", makeToken(EMAIL_CLAIMS, "{alg}")],
    ["has a header that is a list", makeToken(EMAIL_CLAIMS, [])],
    ["has a payload that is text", makeToken('"claims"')],
    ["has a payload that is null", makeToken("null")],
    ["has no algorithm", makeToken(EMAIL_CLAIMS, { typ: "JWT" })],
    ["has an algorithm that is no text", makeToken(EMAIL_CLAIMS, { alg: 1 })],
    ["is not signed, by its header", makeToken(EMAIL_CLAIMS, { alg: "none" })],
    ["is not signed, by its header in other letters", makeToken(EMAIL_CLAIMS, { alg: "nOnE" })],
    ["has no issuer", makeToken({ ...EMAIL_CLAIMS, iss: undefined })],
    ["has an empty issuer", makeToken({ ...EMAIL_CLAIMS, iss: "" })],
    ["has an issuer that is no text", makeToken({ ...EMAIL_CLAIMS, iss: ["https://issuer.test"] })],
    ["has no subject of any kind", makeToken({ ...EMAIL_CLAIMS, sub: undefined, email: undefined })],
    ["has a subject that is a number", makeToken({ ...EMAIL_CLAIMS, sub: 7, email: undefined })],
    ["has an address that is no text", makeToken({ ...EMAIL_CLAIMS, email: { a: 1 } })],
    ["never expires", makeToken({ ...EMAIL_CLAIMS, exp: undefined })],
    ["expires at a time that is text", makeToken({ ...EMAIL_CLAIMS, exp: "1772366460" })],
    ["expires before 1970", makeToken({ ...EMAIL_CLAIMS, exp: -1 })],
    ["expires after the year 9999", makeToken({ ...EMAIL_CLAIMS, exp: 253_402_300_800 })],
    ["was issued at no time", makeToken({ ...EMAIL_CLAIMS, iat: {} })],
    ["has an audience that is a number", makeToken({ ...EMAIL_CLAIMS, aud: 7 })],
    ["has an audience with a number in it", makeToken({ ...EMAIL_CLAIMS, aud: ["sigstore", 7] })],
    ["gets its issuer from a prototype", makeToken('{"__proto__":{"iss":"https://issuer.test"},"sub":"s","exp":1}')],
  ] as const)("refuses a token that %s", ([, raw]) => {
    expect(() => parseIdentityToken(raw)).toThrow(code("IDENTITY_TOKEN_MALFORMED"));
  });

  test.for([
    ["has a claim twice", makeToken(`{"iss":"a","iss":"b","sub":"s","exp":1}`), "JSON_DUPLICATE_KEY"],
    ["is larger than any token", `${HEADER}.${"A".repeat(32 * 1024)}.${SIGNATURE}`, "LIMIT_EXCEEDED"],
    ["nests deeper than any token", makeToken(`{"a":${"[".repeat(20)}${"]".repeat(20)}}`), "LIMIT_EXCEEDED"],
  ] as const)("refuses a token that %s", ([, raw, expected]) => {
    expect(() => parseIdentityToken(raw)).toThrow(code(expected));
  });

  test("repeats nothing of a token that it refuses, in no cause either", () => {
    const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ";
    for (const raw of [
      `${HEADER}.${secret}.${SIGNATURE}`,
      `${secret}.${PAYLOAD}.${SIGNATURE}`,
      `${HEADER}.${PAYLOAD}.${secret}.${secret}`,
      makeToken(`{"iss":"${secret}" "sub"}`),
    ]) {
      const error = caught(() => parseIdentityToken(raw));
      expect(inspect(error, { depth: 9 })).not.toContain("secret-secret");
      expect(inspect(error, { depth: 9 })).not.toContain(secret);
    }
  });

  test("throws nothing but its own errors, whatever the text", () => {
    const raw = makeToken();
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(fc.base64String(), { maxLength: 6 }).map((parts) => parts.join(".")),
          fc.nat(raw.length - 1).map((at) => `${raw.slice(0, at)}~${raw.slice(at + 1)}`),
          fc.json().map((claims) => makeToken(claims)),
        ),
        (text) => {
          const error = caught(() => parseIdentityToken(text));
          expect(error === undefined || error instanceof SigstoreError).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("checkIdentityToken", () => {
  const token = parseIdentityToken(makeToken());
  const check =
    (change: object, at = NOW, minimumLifetimeMs?: number) =>
    (): void =>
      checkIdentityToken(
        { ...parseIdentityToken(makeToken({ ...EMAIL_CLAIMS, ...change })) },
        { audience: "sigstore", now: at, minimumLifetimeMs },
      );

  test("accepts a token for the audience, among others or alone, while it is valid", () => {
    expect(check({})).not.toThrow();
    expect(check({ aud: ["other", "sigstore"] })).not.toThrow();
    expect(check({}, new Date(token.expiresAt.getTime() - 1))).not.toThrow();
    expect(check({}, NOW, 60_000)).not.toThrow();
  });

  test.for([
    ["another audience", { aud: "other" }, "IDENTITY_TOKEN_AUDIENCE_MISMATCH"],
    ["an audience that only begins the same", { aud: "sigstore2" }, "IDENTITY_TOKEN_AUDIENCE_MISMATCH"],
    ["no audience", { aud: undefined }, "IDENTITY_TOKEN_AUDIENCE_MISMATCH"],
    ["a time of expiry that has come", { exp: NOW.getTime() / 1000 }, "IDENTITY_TOKEN_EXPIRED"],
    ["a validity that begins in six minutes", { nbf: NOW.getTime() / 1000 + 360 }, "IDENTITY_TOKEN_NOT_YET_VALID"],
  ] as const)("refuses a token with %s", ([, change, expected]) => {
    expect(check(change)).toThrow(code(expected));
  });

  test("allows for clocks that differ by minutes where the validity begins", () => {
    expect(check({ nbf: NOW.getTime() / 1000 + 240 })).not.toThrow();
  });

  test("refuses a token that does not live as long as it is needed", () => {
    expect(check({}, NOW, 60_001)).toThrow(code("IDENTITY_TOKEN_EXPIRED"));
  });

  test("says what was expected and what was found", () => {
    expect(check({ aud: ["org-1", "b\u202E"] })).toThrow(
      expect.objectContaining({ expected: "sigstore", found: String.raw`org-1, b\u202e` }),
    );
  });
});

let rsa: KeyObject | undefined;

function keyFor(algorithm: string): KeyObject {
  if (/^[RP]S/.test(algorithm)) return (rsa ??= generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey);
  if (algorithm === "EdDSA") return generateKeyPairSync("ed25519").privateKey;
  return generateKeyPairSync("ec", { namedCurve: algorithm === "ES512" ? "P-521" : `P-${algorithm.slice(2)}` })
    .privateKey;
}

function caught(run: () => unknown): unknown {
  try {
    run();
    return undefined;
  } catch (error) {
    return error;
  }
}
