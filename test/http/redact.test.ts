import { describe, expect, test } from "vitest";
import { HeaderMap } from "../../src/http/header-map.ts";
import { redactSecrets, secretsSentBy } from "../../src/http/redact.ts";

const JWT =
  "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
const PEM = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIIs3cret\n-----END EC PRIVATE KEY-----";

describe("redactSecrets", () => {
  test.for([
    ["a token", `token ${JWT} is expired`, "token [token] is expired"],
    ["a token without a signature", `${JWT.split(".").slice(0, 2).join(".")}.`, "[token]"],
    ["a token that was cut off", `x ${JWT.slice(0, 30)}`, "x [token]"],
    ["a token in a URL", `https://a.test/x?t=${JWT}`, "https://a.test/x"],
    ["a token in JSON", `{"id_token":"${JWT}"}`, '{"id_token":"[secret]"}'],
    ["bearer credentials", "Authorization: Bearer abcDEF123", "Authorization: Bearer [secret]"],
    ["basic credentials", "basic dXNlcjpwYXNz", "basic [secret]"],
    ["a key", `before ${PEM} after`, "before [private key] after"],
    ["a key of cosign", PEM.replaceAll("EC PRIVATE", "ENCRYPTED SIGSTORE PRIVATE"), "[private key]"],
    ["a key that was cut off", PEM.slice(0, 45), "[private key]"],
    ["a password in a URL", "see https://user:pass@a.test/b.", "see https://a.test/b."],
    ["a password in another URL", "postgres://user:pass@a.test/b?sslmode=off", "postgres://a.test/b"],
    ["a query and a fragment", 'at "https://a.test/b?sig=abc#frag"', 'at "https://a.test/b"'],
    ["a parameter", "grant_type=code&code_verifier=abc&x=1", "grant_type=code&code_verifier=[secret]&x=1"],
    ["a member with quotation marks", '{"password": "a\\"b", "x": 1}', '{"password": "[secret]", "x": 1}'],
  ] as const)("masks %s", ([, input, output]) => {
    expect(redactSecrets(input)).toBe(output);
  });

  test.for([
    "There was an error processing the credentials for this request",
    "basic authentication is required",
    "bearer realm was not found",
    "error verifying token: expected audience sigstore, got []",
    "an equivalent entry already exists in the transparency log with index 17",
    "see https://docs.sigstore.dev/logging/overview/",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  ])("leaves %j alone", (text) => {
    expect(redactSecrets(text)).toBe(text);
  });

  test.for(["eyJ-", "-----BEGIN PRIVATE KEY-----", "https://a:", 'password="', '"token":"\\', "bearer a", "e w"])(
    "takes a time in proportion to a text of many %j",
    (piece) => {
      const started = performance.now();
      redactSecrets(piece.repeat(200_000 / piece.length));
      expect(performance.now() - started).toBeLessThan(2000);
    },
  );

  test("takes no longer for a URL with many brackets behind it", () => {
    const hostile = `http://a${")".repeat(64_000)}a`;
    const started = performance.now();
    expect(redactSecrets(`${hostile}?x).`) === `${hostile}).`).toBe(true);
    expect(performance.now() - started).toBeLessThan(2000); // by trying an end at each of them: 20 s
  });
});

describe("secretsSentBy", () => {
  const FORM = "application/x-www-form-urlencoded";
  test.for<[string, Record<string, string>, string | undefined, readonly string[]]>([
    ["a bearer", { authorization: "bearer job-secret" }, undefined, ["job-secret"]],
    ["another scheme", { authorization: "Token agent-secret" }, undefined, ["agent-secret"]],
    // RFC 7617 §2
    [
      "user and password",
      { authorization: "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==" },
      undefined,
      ["QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "QWxhZGRpbjpvcGVuIHNlc2FtZQ%3D%3D", "Aladdin", "open sesame", "open%20sesame"],
    ],
    ["a token of its own header", { "x-vault-token": "vault-secret" }, undefined, ["vault-secret"]],
    [
      "fields of a form",
      { "content-type": FORM },
      "grant_type=authorization_code&client_id=sigstore&code=abcdefgh&code_verifier=ijklmnop",
      ["abcdefgh", "ijklmnop"],
    ],
    ["nothing of other text", { "content-type": "text/plain" }, "code=abcdefgh", []],
    ["nothing too short to be one", { authorization: "bearer abc" }, undefined, []],
    ["what is no base64 as it is", { authorization: "Basic !not-base64!" }, undefined, ["!not-base64!"]],
  ])("lists %s", ([, headers, body, expected]) => {
    expect(secretsSentBy(new HeaderMap(Object.entries(headers)), body)).toEqual(expected);
  });
});
