import {
  createPublicKey,
  generateKeyPairSync,
  hash,
  randomBytes,
  sign,
  X509Certificate,
  type KeyObject,
} from "node:crypto";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseCertificate, type Certificate } from "../../src/x509/certificate.ts";
import type { Difference } from "./differential.ts";

/** Is a Fulcio and the identity provider that it trusts. */
export interface FulcioSide {
  readonly fulcioUrl: string;
  readonly oidcUrl: string;
}

/** Is a request for both sides, made for one of them. */
interface Request {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

interface Case {
  /** Completes "the request …". */
  readonly name: string;
  /** Makes the request with tokens of this side. */
  request(token: TokenOf): Request | Promise<Request>;
  /** The words of the answer are not compared: they are a parser's. */
  readonly ownWords?: boolean;
}

type TokenOf = (kind: "email" | "github" | "gitlab", claims?: Readonly<Record<string, string>>) => Promise<string>;

const V2 = "/api/v2/signingCert";
const V1 = "/api/v1/signingCert";
const EMAIL = "dev@example.com";
const CHALLENGE = {
  email: EMAIL,
  github: "repo:acme/app:ref:refs/heads/main",
  gitlab: "project_path:acme/app:ref_type:branch:ref:main",
} as const;

interface Key {
  readonly key: KeyObject;
  readonly hash: string | null;
  readonly pem: string;
}

function newKey(kind: string): Key {
  const { privateKey } =
    kind === "ed25519"
      ? generateKeyPairSync("ed25519")
      : kind === "dsa"
        ? generateKeyPairSync("dsa", { modulusLength: 2048, divisorLength: 256 })
        : kind === "x25519"
          ? generateKeyPairSync("x25519")
          : kind.startsWith("rsa")
            ? generateKeyPairSync("rsa", {
                modulusLength: Number(kind.split("-")[1]),
                publicExponent: Number(kind.split("-")[2] ?? 65537),
              })
            : generateKeyPairSync("ec", { namedCurve: kind });
  const pem = createPublicKey(privateKey).export({ type: "spki", format: "pem" });
  const hashes: Readonly<Record<string, string | null>> = { ed25519: null, "P-384": "sha384", "P-521": "sha512" };
  return { key: privateKey, hash: kind in hashes ? (hashes[kind] ?? null) : "sha256", pem };
}

const prove = (key: Key, challenge: string, digest = key.hash): string =>
  sign(digest, Buffer.from(challenge), key.key).toString("base64");

const jsonRequest = (body: unknown, headers: Readonly<Record<string, string>> = {}, path = V2): Request => ({
  method: "POST",
  path,
  headers: { "content-type": "application/json", ...headers },
  body: typeof body === "string" ? body : JSON.stringify(body),
});

const withKey = (token: string, content: string, proof: string): Request =>
  jsonRequest({
    credentials: { oidcIdentityToken: token },
    publicKeyRequest: { publicKey: { algorithm: "ECDSA", content }, proofOfPossession: proof },
  });

/** A request that is signed with openssl, which can do what no library of ours does. */
function certificateRequest(directory: string, key: Key, ...options: readonly string[]): string {
  const file = join(directory, `${hash("sha256", key.pem).slice(0, 8)}.key`);
  writeFileSync(file, key.key.export({ type: "pkcs8", format: "pem" }));
  const args = ["req", "-new", "-key", file, "-subj", "/CN=ignored", "-config", "/dev/null", ...options];
  return execFileSync("openssl", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
}

function tamper(token: string): string {
  const [header, payload, signature = ""] = token.split(".");
  const bytes = Buffer.from(signature, "base64url");
  bytes[10] = (bytes[10] ?? 0) ^ 1;
  return `${header}.${payload}.${bytes.toString("base64url")}`;
}

function selfSignedToken(payload: unknown, header: unknown = { alg: "RS256" }): string {
  const parts = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"));
  return `${parts.join(".")}.${randomBytes(256).toString("base64url")}`;
}

function cases(directory: string): readonly Case[] {
  const p256 = newKey("P-256");
  const other = newKey("P-256");
  const rsa = newKey("rsa-2048");
  const proof = prove(p256, EMAIL);
  const soon = (seconds: number): string => `${Math.floor(Date.now() / 1000) + seconds}`;

  const good = (kind: keyof typeof CHALLENGE, key: Key, name: string): Case => ({
    name,
    request: async (token) => withKey(await token(kind), key.pem, prove(key, CHALLENGE[kind])),
  });
  const badToken = (name: string, make: (token: TokenOf) => string | Promise<string>): Case => ({
    name: `with a token ${name}`,
    request: async (token) => withKey(await make(token), p256.pem, proof),
  });
  const claims = (
    kind: keyof typeof CHALLENGE,
    replaced: Readonly<Record<string, string>>,
    challenge: string = CHALLENGE[kind],
  ): Case => ({
    name: `with a token of ${kind} that says ${new URLSearchParams(replaced).toString()}`,
    request: async (token) => withKey(await token(kind, replaced), p256.pem, prove(p256, challenge)),
  });
  const badKey = (name: string, content: string, by: Key = p256): Case => ({
    name: `for ${name}`,
    request: async (token) => {
      let signature = "AAAA";
      try {
        signature = prove(by, EMAIL);
      } catch {
        // A key that cannot sign
      }
      return withKey(await token("email"), content, signature);
    },
  });
  const body = (name: string, make: (token: string) => unknown, ownWords = false): Case => ({
    name: `that ${name}`,
    request: async (token) => jsonRequest(make(await token("email"))),
    ownWords,
  });
  const csr = (name: string, pem: string): Case => ({
    name: `with a certificate request ${name}`,
    request: async (token) =>
      jsonRequest({
        credentials: { oidcIdentityToken: await token("email") },
        certificateSigningRequest: Buffer.from(pem).toString("base64"),
      }),
  });
  const legacy = (name: string, make: () => unknown, withToken = true): Case => ({
    name: `of version 1 ${name}`,
    request: async (token) =>
      jsonRequest(make(), withToken ? { authorization: `Bearer ${await token("email")}` } : {}, V1),
  });
  const publicKeyRequest = { publicKey: { content: p256.pem }, proofOfPossession: proof };
  const der = createPublicKey(p256.key).export({ type: "spki", format: "der" });
  const goodCsr = certificateRequest(directory, p256);
  const spoiledCsr = goodCsr.replace(
    /(?<base64>\n[A-Za-z0-9+/]{40})(?<one>[A-Za-z0-9+/])/,
    (_all, start: string, one: string) => `${start}${one === "A" ? "B" : "A"}`,
  );

  return [
    good("email", p256, "for an e-mail address"),
    good("github", p256, "for a workflow"),
    good("gitlab", p256, "for a pipeline"),
    good("email", newKey("P-384"), "for a P-384 key"),
    good("email", newKey("P-521"), "for a P-521 key"),
    good("email", newKey("ed25519"), "for an Ed25519 key"),
    good("email", rsa, "for an RSA key of 2048 bits"),
    good("email", newKey("rsa-3072"), "for an RSA key of 3072 bits"),
    csr("that is good", goodCsr),
    csr("by RSA", certificateRequest(directory, rsa)),
    csr("by Ed25519", certificateRequest(directory, newKey("ed25519"))),
    {
      name: "with the token in the header",
      request: async (token) => jsonRequest({ publicKeyRequest }, { authorization: `Bearer ${await token("email")}` }),
    },
    body("uses the names of the protocol buffer", (token) => ({
      credentials: { oidc_identity_token: token },
      public_key_request: { public_key: { content: p256.pem }, proof_of_possession: proof },
    })),
    body("has base64 of URLs without padding, and unknown members", (token) => ({
      credentials: { oidcIdentityToken: token, more: 1 },
      publicKeyRequest: { ...publicKeyRequest, proofOfPossession: Buffer.from(proof, "base64").toString("base64url") },
      certificateSigningRequest: null,
    })),
    claims("email", { sub: "another", email: "Ann.O'Nym+tag@sub.example.org" }, "Ann.O'Nym+tag@sub.example.org"),
    claims("email", { email_verified: "True" }),
    claims("email", { nbf: soon(200) }),
    claims("github", { job_workflow_ref: "acme/app/.github/workflows/a b%20ü[1].yml@refs/tags/v1", run_id: "4/../2" }),
    claims("github", { repository: "acme//app/", repository_owner: "100%" }),
    claims("gitlab", { ci_config_ref_uri: "gitlab.com/ä b/app//x.yml@refs/heads/main?a=b c#d", ref_type: "tag" }),
    claims("gitlab", { ci_config_sha: "", project_visibility: "" }),

    badToken("that is empty", () => ""),
    badToken("that is text", () => "token"),
    badToken("of two parts", async (token) => (await token("email")).split(".").slice(0, 2).join(".")),
    badToken("with a changed signature", async (token) => tamper(await token("email"))),
    badToken("of an unknown issuer", () => selfSignedToken({ iss: "https://issuer.example", aud: "sigstore" })),
    badToken("without issuer", () => selfSignedToken({ aud: "sigstore" })),
    badToken("whose payload is a list", () => selfSignedToken([])),
    badToken("without signature", async (token) => {
      const { iss } = JSON.parse(Buffer.from((await token("email")).split(".")[1] ?? "", "base64url").toString()) as {
        iss: string;
      };
      const payload = { iss, aud: "sigstore", exp: Number(soon(600)), email: EMAIL, email_verified: true, sub: EMAIL };
      return `${selfSignedToken(payload, { alg: "none" }).split(".").slice(0, 2).join(".")}.`;
    }),
    claims("email", { exp: "1" }),
    claims("email", { exp: soon(-5) }),
    claims("email", { nbf: soon(400) }),
    claims("email", { aud: "other" }),
    claims("email", { email_verified: "false" }),
    claims("email", { email_verified: "" }),
    claims("email", { email_verified: "yes" }),
    claims("email", { email: "" }),
    claims("email", { email: "nobody" }),
    claims("email", { email: "a@b" }),
    claims("email", { email: "a b@example.com" }),
    claims("email", { email: "ü@example.com" }, "ü@example.com"),
    claims("email", { iss: "https://issuer.example" }),
    claims("github", { job_workflow_ref: "" }),
    claims("github", { runner_environment: "" }),
    claims("github", { run_attempt: "" }),
    claims("gitlab", { runner_id: "0" }),
    claims("gitlab", { ref_type: "commit" }),
    claims("gitlab", { namespace_id: "" }),
    claims("gitlab", { ci_config_ref_uri: "a:b/c" }),

    badKey("a key that is empty", ""),
    badKey("a key that is text", "key"),
    badKey("a key of another PEM type", p256.pem.replaceAll("PUBLIC KEY", "PRIVATE KEY")),
    badKey("a key with a broken PEM", p256.pem.replace("-----END", "----END")),
    badKey("an RSA key of 1024 bits", newKey("rsa-1024").pem),
    badKey("an RSA key of 2056 bits", newKey("rsa-2056").pem),
    badKey("an RSA key with exponent 3", newKey("rsa-2048-3").pem),
    badKey("a P-224 key", newKey("P-224").pem),
    badKey("a secp256k1 key", newKey("secp256k1").pem),
    badKey("a DSA key", newKey("dsa").pem),
    badKey("an X25519 key", newKey("x25519").pem),
    {
      name: "whose proof is by another key",
      request: async (token) => withKey(await token("email"), p256.pem, prove(other, EMAIL)),
    },
    {
      name: "whose proof is over another address",
      request: async (token) => withKey(await token("email"), p256.pem, prove(p256, "other@example.com")),
    },
    {
      name: "whose proof is over the repository instead of the subject",
      request: async (token) => withKey(await token("github"), p256.pem, prove(p256, "acme/app")),
    },
    {
      name: "whose proof by P-384 is with SHA-256",
      request: async (token) => {
        const key = newKey("P-384");
        return withKey(await token("email"), key.pem, prove(key, EMAIL, "sha256"));
      },
    },
    { name: "whose proof is empty", request: async (token) => withKey(await token("email"), p256.pem, "") },

    csr("that is text", "request"),
    csr("whose PEM has another label", goodCsr.replaceAll("CERTIFICATE REQUEST", "CERTIFICATE")),
    csr("with a changed byte", spoiledCsr),
    csr("that is cut off", goodCsr.replace(/\n[^\n]+\n-----END/, "\n-----END")),
    csr("with SHA-384 by P-256", certificateRequest(directory, p256, "-sha384")),
    csr("with SHA-1", certificateRequest(directory, p256, "-sha1")),
    csr("with PSS", certificateRequest(directory, rsa, "-sigopt", "rsa_padding_mode:pss")),
    csr("for a P-224 key", certificateRequest(directory, newKey("P-224"))),

    body("has neither key nor request", (token) => ({ credentials: { oidcIdentityToken: token } })),
    body(
      "has both key and request",
      (token) => ({
        credentials: { oidcIdentityToken: token },
        publicKeyRequest,
        certificateSigningRequest: Buffer.from(goodCsr).toString("base64"),
      }),
      true,
    ),
    body("has no credentials", () => ({ publicKeyRequest })),
    body("is empty", () => ""),
    body("is no JSON", () => "{", true),
    body("is a list", () => "[]", true),
    body("is null", () => "null", true),
    body("has a token that is a number", () => ({ credentials: { oidcIdentityToken: 1 } }), true),
    body(
      "has a proof that is no base64",
      (token) => ({
        credentials: { oidcIdentityToken: token },
        publicKeyRequest: { ...publicKeyRequest, proofOfPossession: "?" },
      }),
      true,
    ),

    legacy("that is good", () => ({
      publicKey: { content: der.toString("base64"), algorithm: "ecdsa" },
      signedEmailAddress: proof,
    })),
    legacy("with a request", () => ({ certificateSigningRequest: Buffer.from(goodCsr).toString("base64") })),
    legacy("without key", () => ({ signedEmailAddress: proof })),
    legacy("with an empty key", () => ({ publicKey: {}, signedEmailAddress: proof })),
    legacy(
      "without token",
      () => ({ publicKey: { content: der.toString("base64") }, signedEmailAddress: proof }),
      false,
    ),
    legacy("with a wrong proof", () => ({
      publicKey: { content: der.toString("base64") },
      signedEmailAddress: "AAAA",
    })),

    { name: "for the root of version 1", request: () => ({ path: "/api/v1/rootCert" }) },
    { name: "for the trust bundle", request: () => ({ path: "/api/v2/trustBundle" }) },
    { name: "for the configuration", request: () => ({ path: "/api/v2/configuration" }) },
    { name: "for its health", request: () => ({ path: "/healthz" }) },
    { name: "to get a certificate", request: () => ({ path: V2 }) },
    { name: "to post to the trust bundle", request: () => jsonRequest({}, {}, "/api/v2/trustBundle") },
    { name: "for what is not there", request: () => ({ path: "/api/v2/other" }) },
    { name: "for nothing", request: () => ({ path: "/" }) },
  ];
}

/**
 * Compares a real Fulcio with ours: statuses, sentences, and certificates extension by extension.
 *
 * @param real - Its provider is that of the same stack.
 */
export async function compareFulcio(real: FulcioSide, ours: FulcioSide): Promise<readonly Difference[]> {
  const directory = mkdtempSync(join(tmpdir(), "fulcio-"));
  try {
    const differences: Difference[] = [];
    for (const one of cases(directory)) {
      const [theirs, mine] = await Promise.all([answerOf(real, one), answerOf(ours, one)]);
      if (theirs !== mine) differences.push({ request: one.name, ...firstDifference(theirs, mine) });
    }
    return differences;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function answerOf(side: FulcioSide, one: Case): Promise<string> {
  const token: TokenOf = async (kind, claims = {}) => {
    const path = kind === "email" ? "" : `/${kind}`;
    const response = await fetch(`${side.oidcUrl}${path}/token?${new URLSearchParams(claims).toString()}`);
    return await response.text();
  };
  const { method = "GET", path, headers = {}, body } = await one.request(token);
  const signal = AbortSignal.timeout(60_000);
  const response = await fetch(side.fulcioUrl + path, { method, headers, signal, ...(body !== undefined && { body }) });
  const type = response.headers.get("content-type") ?? "none";
  const text = await response.text();
  const lines = [`${response.status} ${type}`, ...describe(text, side.oidcUrl)];
  return (one.ownWords === true ? lines.filter((line) => !line.startsWith("message")) : lines).join("\n");
}

/** Describes an answer so that what must differ, such as keys and numbers, is left out. */
function describe(text: string, oidcUrl: string): readonly string[] {
  if (text.includes("-----BEGIN CERTIFICATE-----") && !text.startsWith("{")) return describeChain(text, oidcUrl);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [`text ${text.trim()}`];
  }
  return describeJson(value, "", oidcUrl);
}

function describeJson(value: unknown, name: string, oidcUrl: string): readonly string[] {
  if (Array.isArray(value)) {
    const items: readonly unknown[] = value;
    const texts = items.map((item) => describeJson(item, name, oidcUrl).join("\n"));
    // The order of issuers is that of a map
    return [
      `${name} list of ${items.length}`,
      ...(name === "issuers" ? texts.toSorted((a, b) => (a < b ? -1 : 1)) : texts),
    ];
  }
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return members.flatMap(([key, member]) => describeJson(member, name === "" ? key : `${name}.${key}`, oidcUrl));
  }
  if (typeof value === "string" && value.includes("-----BEGIN CERTIFICATE-----"))
    return [`${name} ends with ${JSON.stringify(value.slice(-6))}`, ...describeChain(value, oidcUrl)];
  return [`${name} ${JSON.stringify(value).replaceAll(oidcUrl, "ISSUER")}`];
}

function describeChain(pem: string, oidcUrl: string): readonly string[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  const between = pem.replaceAll(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g, "*");
  return [
    `certificates ${JSON.stringify(between)}`,
    ...blocks.flatMap((block) => {
      const certificate = parseCertificate(new Uint8Array(new X509Certificate(block).raw));
      return certificate.extensions.basicConstraints?.ca === true
        ? ["  authority"]
        : describeLeaf(certificate, oidcUrl);
    }),
  ];
}

const KEY_IDENTIFIER_OF_ISSUER = "2.5.29.35";
const SCT_LIST = "1.3.6.1.4.1.11129.2.4.2";

function describeLeaf(certificate: Certificate, oidcUrl: string): readonly string[] {
  const { bytes, notBefore, notAfter, serialNumber, subject } = certificate;
  const age = Math.round((Date.now() - notBefore.getTime()) / 10_000);
  return [
    `  serial number ${serialNumber.length >= 19 && serialNumber.length <= 20 ? "of 160 bits" : serialNumber.length}`,
    `  subject ${Buffer.from(subject).toString("hex")}`,
    `  validity ${notAfter.getTime() - notBefore.getTime()} ms, ${age === 0 ? "from now" : `from ${age}`}`,
    `  key ${hash("sha256", certificate.subjectPublicKeyInfo)}`,
    `  signature ${JSON.stringify(certificate.signatureAlgorithm)} of ${bytes.length > 0 ? "some" : "no"} bytes`,
    ...[...certificate.extensions.all].map(([oid, { critical, value }]) => {
      // The lengths of what holds an issuer's URL follow it
      const text = Buffer.from(value)
        .toString("latin1")
        .replace(oidcUrl, "ISSUER")
        .replace(/^\x0c.ISSUER/, "UTF8String ISSUER");
      const shown = oid === KEY_IDENTIFIER_OF_ISSUER ? value.length : oid === SCT_LIST ? "list" : JSON.stringify(text);
      return `  ${oid}${critical ? " critical" : ""} ${shown}`;
    }),
  ];
}

function firstDifference(real: string, ours: string): { readonly real: string; readonly ours: string } {
  const [a, b] = [real.split("\n"), ours.split("\n")];
  const at = a.findIndex((line, index) => line !== b[index]);
  const index = at < 0 ? a.length : at;
  return { real: a[index] ?? "nothing more", ours: b[index] ?? "nothing more" };
}
