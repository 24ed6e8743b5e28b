import { execFileSync } from "node:child_process";
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  X509Certificate,
  type KeyObject,
} from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ed25519, ed25519ph } from "@noble/curves/ed25519.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DerReader, parseDer } from "../../../src/asn1/der.ts";
import { encodeBitString, encodeOid, encodeSequence } from "../../../src/asn1/writer.ts";
import { defaultCryptoProvider } from "../../../src/crypto/provider.ts";
import { parsePublicKey } from "../../../src/crypto/public-key.ts";
import { encodePem, parsePem } from "../../../src/encoding/pem.ts";
import { FULCIO_FORGERIES } from "../../../src/sandbox/fulcio/fulcio.ts";
import { createMemoryStore } from "../../../src/sandbox/store.ts";
import { parseCertificate, type Certificate } from "../../../src/x509/certificate.ts";
import { parseDetachedSct, parseSctList, verifySct } from "../../../src/x509/sct.ts";
import { projectDir } from "../../support/shared.ts";
import {
  chainOf,
  CHALLENGES,
  clientKey,
  get,
  openIdentityServices,
  post,
  requestCertificate,
  URLS,
  type IdentityServices,
} from "../identity-services.ts";
import { START } from "../service-context.ts";

const V2 = `${URLS.fulcio}/api/v2/signingCert`;
const V1 = `${URLS.fulcio}/api/v1/signingCert`;
const MINUTE_MS = 60_000;

const parsed = (certificate: X509Certificate): Certificate => parseCertificate(new Uint8Array(certificate.raw));
const bodyOf = async (response: Response): Promise<Record<string, unknown>> =>
  (await response.json()) as Record<string, unknown>;

const base64 = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("base64");

let directory: string;
beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), "fulcio-"))));
afterAll(() => rmSync(directory, { recursive: true }));

const openssl = (...args: readonly string[]): string =>
  execFileSync("openssl", args, { cwd: directory, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });

/** The certificate of a bundle that the real Fulcio issued, for the claims that are ours by default, too. */
function realCertificate(kind: "email" | "github" | "gitlab"): Certificate {
  const file = join(projectDir, "testdata", "real", "a", `attestation-v1-${kind}.sigstore.json`);
  const bundle = JSON.parse(readFileSync(file, "utf8")) as {
    verificationMaterial: { certificate: { rawBytes: string } };
  };
  return parseCertificate(new Uint8Array(Buffer.from(bundle.verificationMaterial.certificate.rawBytes, "base64")));
}

const OWN = new Set(["2.5.29.14", "2.5.29.35", "1.3.6.1.4.1.11129.2.4.2"]); // key identifiers and SCT
const listExtensions = (certificate: Certificate): unknown =>
  [...certificate.extensions.all].map(([oid, { critical, value }]) => [
    oid,
    critical,
    OWN.has(oid) ? "own" : Buffer.from(value).toString("latin1"),
  ]);

/** Verifies an SCT as `@sigstore/verify` does. */
function verifySctsByOthers(leaf: X509Certificate, issuer: X509Certificate, services: IdentityServices): unknown {
  const require = createRequire(import.meta.url);
  const fromVerify = createRequire(require.resolve("@sigstore/verify"));
  const { X509Certificate: Other } = fromVerify("@sigstore/core") as {
    X509Certificate: { parse(pem: string): unknown };
  };
  const { verifySCTs } = fromVerify("./key/sct") as {
    verifySCTs: (leaf: unknown, issuer: unknown, logs: readonly unknown[]) => unknown[];
  };
  const publicKey = createPublicKey({ key: Buffer.from(services.ctLog.publicKey), format: "der", type: "spki" });
  const validFor = { start: new Date(0), end: new Date(8.64e15) };
  const log = { logID: Buffer.from(services.ctLog.logId), publicKey, validFor };
  return verifySCTs(Other.parse(leaf.toString()), Other.parse(issuer.toString()), [log]);
}

async function verifyOwnSct(leaf: X509Certificate, issuer: X509Certificate, services: IdentityServices): Promise<void> {
  const [sct, ...more] = parseSctList(parsed(leaf));
  if (sct === undefined || more.length > 0) throw new Error("not one SCT");
  const log = { publicKey: parsePublicKey(services.ctLog.publicKey) };
  await verifySct(sct, parsed(leaf), parsed(issuer), log, defaultCryptoProvider());
}

describe("createFulcio (Fulcio docs/certificate-specification.md)", () => {
  let services: IdentityServices;
  beforeAll(async () => void (services = await openIdentityServices()));

  test.for(["email", "github", "gitlab"] as const)(
    "certifies what the real one certifies, byte by byte: %s",
    async (kind) => {
      const real = realCertificate(kind);
      const claims = kind === "email" ? { email: "alice@example.com" } : {};
      const key = clientKey();
      const response = await requestCertificate(services, {
        key,
        token: await services.oidc.mintToken(kind, claims),
        proof: key.prove(kind === "email" ? "alice@example.com" : CHALLENGES[kind]),
      });
      expect(response.status).toBe(200);
      const [leaf] = await chainOf(response);
      const ours = parsed(leaf);
      expect(listExtensions(ours)).toEqual(listExtensions(real));
      expect(ours.subject).toEqual(real.subject);
      expect(ours.signatureAlgorithm).toEqual(real.signatureAlgorithm);
      expect(ours.notAfter.getTime() - ours.notBefore.getTime()).toBe(
        real.notAfter.getTime() - real.notBefore.getTime(),
      );
    },
  );

  test("certifies the key that was asked for, from now on for ten minutes", async () => {
    const key = clientKey();
    const [leaf] = await chainOf(await requestCertificate(services, { key }));
    expect(leaf.publicKey.export({ type: "spki", format: "pem" })).toBe(key.pem);
    expect([leaf.validFromDate, leaf.validToDate]).toEqual([START, new Date(START.getTime() + 10 * MINUTE_MS)]);
    const bits = Buffer.from(createPublicKey(key.pem).export({ type: "spki", format: "der" })).subarray(-65);
    expect(parsed(leaf).extensions.subjectKeyIdentifier).toEqual(
      new Uint8Array(createHash("sha1").update(bits).digest()),
    );
  });

  test("gives every certificate a serial number of its own, of 160 bits", async () => {
    const numbers = new Set<string>();
    for (let i = 0; i < 5; i++) numbers.add((await chainOf(await requestCertificate(services)))[0].serialNumber);
    expect(numbers.size).toBe(5);
    for (const number of numbers) expect(number).toMatch(/^[4-7][0-9A-F]{39}$/);
  });

  test.for(["P-384", "P-521", "ed25519"] as const)("certifies a key of type %s", async (curve) => {
    const { privateKey } =
      curve === "ed25519" ? generateKeyPairSync("ed25519") : generateKeyPairSync("ec", { namedCurve: curve });
    const key = clientKey(privateKey);
    const [leaf, intermediate] = await chainOf(await requestCertificate(services, { key }));
    expect(leaf.publicKey.export({ type: "spki", format: "pem" })).toBe(key.pem);
    expect(leaf.verify(intermediate.publicKey)).toBe(true);
  });

  test("has a chain that Node and openssl verify", async () => {
    const [leaf, intermediate, root] = await chainOf(await requestCertificate(services, { kind: "github" }));
    expect([leaf.checkIssued(intermediate), leaf.verify(intermediate.publicKey)]).toEqual([true, true]);
    expect([intermediate.checkIssued(root), intermediate.verify(root.publicKey)]).toEqual([true, true]);
    expect([root.checkIssued(root), root.verify(root.publicKey), root.ca, intermediate.ca, leaf.ca]).toEqual([
      true,
      true,
      true,
      true,
      false,
    ]);
    for (const [name, certificate] of Object.entries({ leaf, intermediate, root }))
      writeFileSync(join(directory, `${name}.pem`), certificate.toString());
    const time = `${START.getTime() / 1000 + 60}`;
    const verified = openssl(
      "verify",
      "-x509_strict",
      "-attime",
      time,
      "-CAfile",
      "root.pem",
      "-untrusted",
      "intermediate.pem",
      "leaf.pem",
    );
    expect(verified).toBe("leaf.pem: OK\n");

    const text = openssl("x509", "-noout", "-text", "-in", "leaf.pem");
    expect(text).toContain("Issuer: O = sandbox, CN = sandbox fulcio intermediate");
    expect(text).toMatch(/X509v3 Subject Alternative Name: critical\s+URI:https:\/\/github\.com\/acme\/app\//);
    expect(text).toMatch(/Log ID\s+: (?<id>[0-9A-F:\s]+?)\s+Timestamp\s+: Jan {2}2 03:04:05\.000 2026 GMT/);
    const authority = openssl("x509", "-noout", "-text", "-in", "intermediate.pem");
    expect(authority).toMatch(/Key Usage: critical\s+Certificate Sign, CRL Sign/);
    expect(authority).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
    expect(authority).toMatch(/Extended Key Usage: \s+Code Signing\n/);
    const top = openssl("x509", "-noout", "-text", "-in", "root.pem");
    expect(top).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:1/);
    expect(top).not.toContain("Extended Key Usage");
    expect(top).toContain("NIST CURVE: P-384");
  });

  test("embeds an SCT that we and others verify", async () => {
    const [leaf, intermediate] = await chainOf(await requestCertificate(services));
    await verifyOwnSct(leaf, intermediate, services);
    expect(verifySctsByOthers(leaf, intermediate, services)).toEqual([Buffer.from(services.ctLog.logId)]);
  });

  test("gives the SCT beside the certificate where it is set up so", async () => {
    const detached = await openIdentityServices({ sct: "detached" });
    const response = await requestCertificate(detached);
    const body = (await bodyOf(response.clone()))["signedCertificateDetachedSct"] as {
      signedCertificateTimestamp: string;
    };
    const [leaf, intermediate] = await chainOf(response);
    expect(parseSctList(parsed(leaf))).toEqual([]);
    const sct = parseDetachedSct(new Uint8Array(Buffer.from(body.signedCertificateTimestamp, "base64")));
    const log = { publicKey: parsePublicKey(detached.ctLog.publicKey) };
    await verifySct(sct, parsed(leaf), parsed(intermediate), log, defaultCryptoProvider(), { detached: true });

    const key = clientKey();
    const legacy = await post(
      detached.fulcio,
      V1,
      {
        publicKey: { content: Buffer.from(key.pem).toString("base64") },
        signedEmailAddress: key.prove("dev@example.com"),
      },
      { authorization: `Bearer ${await detached.oidc.mintToken("email")}` },
    );
    const header = new Uint8Array(Buffer.from(legacy.headers.get("sct") ?? "", "base64"));
    const certificate = parsed(new X509Certificate(await legacy.text()));
    await verifySct(parseDetachedSct(header), certificate, parsed(intermediate), log, defaultCryptoProvider(), {
      detached: true,
    });
  });

  test("works without a log", async () => {
    const unlogged = await openIdentityServices({ ctLog: undefined });
    const [leaf] = await chainOf(await requestCertificate(unlogged));
    expect(parseSctList(parsed(leaf))).toEqual([]);
  });

  test("takes the token from the header, and names of the protocol buffer", async () => {
    const key = clientKey();
    const body = {
      public_key_request: { public_key: { content: key.pem }, proof_of_possession: key.prove("dev@example.com") },
    };
    const authorization = `Bearer ${await services.oidc.mintToken("email")}`;
    expect((await post(services.fulcio, V2, body, { authorization })).status).toBe(200);
  });

  test("takes a certificate request, of which only the key counts", async () => {
    const key = clientKey();
    const [leaf] = await chainOf(await requestByCsr(services, csrOf(key.privateKey)));
    expect(leaf.publicKey.export({ type: "spki", format: "pem" })).toBe(key.pem);
    expect([leaf.subject, leaf.subjectAltName]).toEqual([undefined, "email:dev@example.com"]);
  });

  test("answers version 1 with 201 and PEM", async () => {
    const key = clientKey();
    const der = createPublicKey(key.pem).export({ type: "spki", format: "der" }).toString("base64");
    const response = await post(
      services.fulcio,
      V1,
      { publicKey: { content: der, algorithm: "ecdsa" }, signedEmailAddress: key.prove("dev@example.com") },
      { authorization: `Bearer ${await services.oidc.mintToken("email")}` },
    );
    expect([response.status, response.headers.get("content-type"), response.headers.get("sct")]).toEqual([
      201,
      "application/pem-certificate-chain",
      null,
    ]);
    const text = await response.text();
    expect(text.match(/-----BEGIN CERTIFICATE-----/g)).toHaveLength(3);
    expect(new X509Certificate(text).publicKey.export({ type: "spki", format: "pem" })).toBe(key.pem);
    const root = await get(services.fulcio, `${URLS.fulcio}/api/v1/rootCert`);
    expect((await root.text()).match(/-----BEGIN CERTIFICATE-----/g)).toHaveLength(2);
  });

  test("tells how it is configured, and that it is well", async () => {
    const { issuers } = await bodyOf(await get(services.fulcio, `${URLS.fulcio}/api/v2/configuration`));
    expect(issuers).toEqual(
      [
        ["", "email", "email"],
        ["/github", "github-workflow", "sub"],
        ["/gitlab", "gitlab-pipeline", "sub"],
      ].map(([path = "", issuerType, challengeClaim]) => ({
        issuerUrl: URLS.oidc + path,
        audience: "sigstore",
        challengeClaim,
        issuerType,
        spiffeTrustDomain: "",
        subjectDomain: "",
        skipEmailVerification: false,
      })),
    );
    expect(await bodyOf(await get(services.fulcio, `${URLS.fulcio}/healthz`))).toEqual({ status: "SERVING" });
  });

  test("lists what it issued, the newest first", async () => {
    const [leaf] = await chainOf(await requestCertificate(services, { kind: "github" }));
    expect(services.fulcio.recentCertificates()[0]).toMatchObject({
      serialNumber: leaf.serialNumber.toLowerCase(),
      subjectAlternativeName: "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main",
      issuer: `${URLS.oidc}/github`,
      notBefore: START,
    });
  });
});

describe("the issuers of createFulcio", () => {
  const open = async (issuer: object): Promise<IdentityServices> => {
    const { oidc } = await openIdentityServices();
    const [email] = oidc.issuers;
    if (email === undefined) throw new Error("no issuer");
    return { ...(await openIdentityServices({ issuers: [{ ...email, ...issuer }] })), oidc };
  };

  test("can be of subjects that are URIs of one host", async () => {
    const services = await open({ type: "uri", subjectDomain: "https://example.com" });
    const ask = async (sub: string): Promise<Response> => {
      const key = clientKey();
      return await requestCertificate(services, {
        key,
        token: await services.oidc.mintToken("email", { sub }),
        proof: key.prove(sub),
      });
    };
    const [leaf] = await chainOf(await ask("https://example.com:8443/users/1"));
    expect(leaf.subjectAltName).toBe("URI:https://example.com:8443/users/1");
    for (const sub of [
      "http://example.com/users/1",
      "https://example.com.evil/1",
      "https://example.com@evil/1",
      "a@b.cc",
    ])
      expect((await ask(sub)).status, sub).toBe(400);
  });

  test("can have another audience", async () => {
    const services = await open({ audience: "other" });
    expect((await requestCertificate(services)).status).toBe(400);
    const token = await services.oidc.mintToken("email", { aud: "other" });
    expect((await requestCertificate(services, { token })).status).toBe(200);
  });

  test("can speak for another issuer, and for addresses that they do not call verified", async () => {
    const services = await open({ skipEmailVerification: true, issuerClaim: "$.connector" });
    const token = await services.oidc.mintToken("email", { email_verified: "false", connector: "https://idp.example" });
    expect((await requestCertificate(services, { token })).status).toBe(200);
    expect(services.fulcio.recentCertificates()[0]?.issuer).toBe("https://idp.example");
    expect((await requestCertificate(services)).status).toBe(400);
  });

  test("may leave the key of a token unnamed, and change their keys", async () => {
    const services = await openIdentityServices();
    await services.oidc.rotateKeys();
    const [header = "", payload = ""] = (await services.oidc.mintToken("email")).split(".");
    const { alg } = JSON.parse(Buffer.from(header, "base64url").toString()) as { alg: string };
    expect(alg).toBe("ES256");
    // Signed by the key that the store of the issuer holds since the rotation
    const pem = services.contexts.oidc.store.read("ES256-2.pem") ?? new Uint8Array(0);
    const unnamed = `${Buffer.from('{"alg":"ES256"}').toString("base64url")}.${payload}`;
    const key = { key: createPrivateKey(Buffer.from(pem)), dsaEncoding: "ieee-p1363" as const };
    const token = `${unnamed}.${sign("sha256", Buffer.from(unnamed), key).toString("base64url")}`;
    expect((await requestCertificate(services, { token })).status).toBe(200);
  });
});

describe("a request that createFulcio refuses", () => {
  let services: IdentityServices;
  beforeAll(async () => void (services = await openIdentityServices()));

  const TOKEN = "There was an error processing the identity token";
  const KEY = "The public key supplied in the request could not be parsed";
  const WEAK = "The public key supplied in the request is insecure";
  const PROOF = "The signature supplied in the request could not be verified";
  const CSR = "The certificate signing request could not be parsed";
  const seconds = (offset: number): string => `${START.getTime() / 1000 + offset}`;

  async function expectRefusal(response: Response, message: string, reason: RegExp): Promise<void> {
    expect([response.status, await bodyOf(response)]).toEqual([400, { code: 3, message, details: [] }]);
    expect(services.refusals.at(-1)).toMatch(reason);
  }

  test.for([
    ["expired", "email", { exp: seconds(-1) }, /expired/],
    ["valid in six minutes", "email", { nbf: seconds(360) }, /nbf/],
    ["for another audience", "email", { aud: "other" }, /expected audience "sigstore" got \["other"\]/],
    [
      "of an unknown issuer",
      "email",
      { iss: "https://issuer.example" },
      /failed to match issuer URL https:\/\/issuer\.example/,
    ],
    ["of an issuer with a slash more", "email", { iss: `${URLS.oidc}/` }, /failed to match/],
    ["that says the address is not verified", "email", { email_verified: "false" }, /email_verified claim was false/],
    ["that says nothing about the address", "email", { email_verified: "" }, /invalid value for boolean/],
    ["without an address", "email", { email: "" }, /email/],
    ["with an address that is none", "email", { email: "nobody" }, /not valid/],
    ["of a workflow without repository", "github", { repository: "" }, /missing repository claim/],
    ["of a workflow without run", "github", { run_attempt: "" }, /missing run_attempt claim/],
    ["of a pipeline without namespace", "gitlab", { namespace_id: "" }, /missing namespace_id claim/],
    ["of a pipeline without runner", "gitlab", { runner_id: "0" }, /missing runner_id claim/],
    ["of a pipeline for a commit", "gitlab", { ref_type: "commit" }, /ref_type/],
  ] as const)("has a token %s", async ([, kind, claims, reason]) => {
    const token = await services.oidc.mintToken(kind, claims);
    await expectRefusal(await requestCertificate(services, { kind, token }), TOKEN, reason);
  });

  test("but not one that became valid within five minutes, or ends within this second", async () => {
    for (const claims of [{ nbf: seconds(300) }, { exp: seconds(0) }]) {
      const token = await services.oidc.mintToken("email", claims);
      expect((await requestCertificate(services, { token })).status).toBe(200);
    }
  });

  test.for([
    ["has no token", "", /3 parts/],
    ["has a token that is text", "token", /3 parts/],
    ["has a token of two parts", "e30.e30", /3 parts/],
    ["has a token whose payload is no base64", "e30.?.", /payload/],
    ["has a token whose payload is no JSON", "e30.e.", /payload|claims/],
    ["has a token whose payload is a list", "e30.W10.", /claims/],
    [
      "has a token whose issuer is a number",
      `e30.${Buffer.from('{"iss":1}').toString("base64url")}.`,
      /iss is not text/,
    ],
    [
      "has a token whose header is no JSON",
      `e30e.${Buffer.from(`{"iss":"${URLS.oidc}"}`).toString("base64url")}.AAAA`,
      /verify signature/,
    ],
  ] as const)("%s", async ([, token, reason]) => {
    await expectRefusal(await requestCertificate(services, { token }), TOKEN, reason);
  });

  test("has a token with a changed signature, a changed payload, or none", async () => {
    const [header = "", payload = "", signature = ""] = (await services.oidc.mintToken("email")).split(".");
    const bytes = Buffer.from(signature, "base64url");
    bytes[5] = (bytes[5] ?? 0) ^ 1;
    const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as Record<string, unknown>;
    const other = Buffer.from(JSON.stringify({ ...claims, email: "mallory@example.com" })).toString("base64url");
    const none = Buffer.from('{"alg":"none"}').toString("base64url");
    for (const token of [
      `${header}.${payload}.${bytes.toString("base64url")}`,
      `${header}.${other}.${signature}`,
      `${none}.${payload}.`,
    ])
      await expectRefusal(await requestCertificate(services, { token }), TOKEN, /failed to verify signature/);
  });

  test("has a token that the provider forged, or signed with keys that it revoked", async () => {
    const forging = await openIdentityServices();
    forging.contexts.oidc.forged = "wrong-key";
    const forged = await forging.oidc.mintToken("email");
    forging.contexts.oidc.forged = undefined;
    const old = await forging.oidc.mintToken("email");
    await forging.oidc.rotateKeys({ revoke: true });
    for (const token of [forged, old]) expect((await requestCertificate(forging, { token })).status).toBe(400);
  });

  test("never tells the token, not even to who runs it", async () => {
    const token = await services.oidc.mintToken("email", { exp: "1" });
    const response = await requestCertificate(services, { token });
    const told = `${await response.text()} ${services.refusals.join(" ")}`;
    for (const part of token.split(".")) expect(told).not.toContain(part);
  });

  const pemOf = (key: KeyObject): string => createPublicKey(key).export({ type: "spki", format: "pem" });
  test.for([
    ["no key", (): string => "", KEY, /not provided/],
    ["a key that is text", (): string => "key", KEY, /./],
    [
      "a key that is a private one",
      (): string => clientKey().privateKey.export({ type: "pkcs8", format: "pem" }),
      KEY,
      /PRIVATE KEY/,
    ],
    [
      "a key on another curve",
      (): string => pemOf(generateKeyPairSync("ec", { namedCurve: "secp256k1" }).privateKey),
      KEY,
      /curve/,
    ],
    ["a compressed point", (): string => compressedPoint(), KEY, /uncompressed/],
    [
      "a P-224 key",
      (): string => pemOf(generateKeyPairSync("ec", { namedCurve: "P-224" }).privateKey),
      WEAK,
      /secp224r1 not allowed/,
    ],
    [
      "an RSA key of 1024 bits",
      (): string => pemOf(generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey),
      WEAK,
      /size not supported: 1024/,
    ],
    ["an X25519 key", (): string => pemOf(generateKeyPairSync("x25519").privateKey), WEAK, /unsupported/],
  ] as const)("is for %s", async ([, content, message, reason]) => {
    await expectRefusal(await requestCertificate(services, { content: content() }), message, reason);
  });

  test.for([
    ["by another key", (): string => clientKey().prove("dev@example.com")],
    ["over another address", undefined, "alice@example.com"],
    ["that is empty", (): string => ""],
    ["that is no signature", (): string => "AAAA"],
  ] as const)("has a proof %s", async ([, other, challenge = "dev@example.com"]) => {
    const key = clientKey();
    const proof = other?.() ?? key.prove(challenge);
    await expectRefusal(await requestCertificate(services, { key, proof }), PROOF, /proof of possession/);
  });

  test("has a proof with another hash than the key's, or with Ed25519ph", async () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
    const proof = sign("sha256", Buffer.from("dev@example.com"), privateKey).toString("base64");
    await expectRefusal(await requestCertificate(services, { key: clientKey(privateKey), proof }), PROOF, /proof/);

    const seed = new Uint8Array(32).fill(7);
    const spki = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), ed25519.getPublicKey(seed)]);
    const content = createPublicKey({ key: spki, format: "der", type: "spki" }).export({ type: "spki", format: "pem" });
    const message = Buffer.from("dev@example.com");
    const prehashed = Buffer.from(ed25519ph.sign(message, seed)).toString("base64");
    await expectRefusal(await requestCertificate(services, { content, proof: prehashed }), PROOF, /proof/);
    const pure = Buffer.from(ed25519.sign(message, seed)).toString("base64");
    expect((await requestCertificate(services, { content, proof: pure })).status).toBe(200);
  });

  test.for([
    ["that is text", (): string => "request", CSR],
    ["whose PEM has another label", (): string => csrOf().replaceAll("CERTIFICATE REQUEST", "CERTIFICATE"), CSR],
    ["that another key signed", (): string => resignedCsr(), PROOF],
    [
      "with SHA-384 by P-256",
      (): string => csrOf(undefined, "-sha384"),
      "signing algorithm not permitted: *ecdsa.PublicKey, SHA-384",
    ],
    ["with SHA-1", (): string => csrOf(undefined, "-sha1"), "unrecognized signature algorithm: ECDSA-SHA1"],
    ["for a P-224 key", (): string => csrOf(generateKeyPairSync("ec", { namedCurve: "P-224" }).privateKey), WEAK],
  ] as const)("has a certificate request %s", async ([, make, message]) => {
    await expectRefusal(await requestByCsr(services, make()), message, /./);
  });

  test.for([
    ["is empty", "", TOKEN],
    ["is no JSON", "{", /^proto: /],
    ["is a list", "[]", /^proto: /],
    ["has a token that is a number", { credentials: { oidcIdentityToken: 1 } }, /^proto: /],
    ["has a member twice", '{"credentials":{},"credentials":{}}', /^proto: /],
    ["has a member in both spellings", { publicKeyRequest: {}, public_key_request: {} }, /^proto: /],
    ["has a proof that is no base64", { publicKeyRequest: { proofOfPossession: "?" } }, /^proto: /],
    ["has both a key and a request", { publicKeyRequest: {}, certificateSigningRequest: "AAAA" }, /^proto: .*oneof/],
  ] as const)("%s", async ([, body, message]) => {
    const response = await post(services.fulcio, V2, body);
    expect([response.status, await bodyOf(response)]).toEqual([
      400,
      { code: 3, message: expect.stringMatching(message) as unknown, details: [] },
    ]);
  });

  test("is larger than four mebibytes", async () => {
    const response = await post(services.fulcio, V2, " ".repeat(4 * 1024 * 1024 + 1));
    expect(await bodyOf(response)).toMatchObject({ code: 3, message: "http: request body too large" });
  });

  test("is for what is not there, or by another method", async () => {
    const missing = await get(services.fulcio, `${URLS.fulcio}/api/v3/signingCert`);
    expect([missing.status, await bodyOf(missing)]).toEqual([404, { code: 5, message: "Not Found", details: [] }]);
    const method = await get(services.fulcio, V2);
    expect([method.status, await bodyOf(method)]).toEqual([
      501,
      { code: 12, message: "Method Not Allowed", details: [] },
    ]);
  });

  test("cannot be fulfilled, as the log does not answer", async () => {
    const silent = { ...services.ctLog, addPreChain: () => Promise.reject(new Error("no connection")) };
    const broken = await openIdentityServices({ ctLog: silent });
    const response = await requestCertificate(broken);
    expect([response.status, await bodyOf(response)]).toEqual([
      500,
      { code: 13, message: "Error entering certificate in CTL", details: [] },
    ]);
    expect(broken.fulcio.recentCertificates()).toEqual([]);
  });
});

describe("the authorities of createFulcio", () => {
  const trustBundle = async (services: IdentityServices): Promise<string[][]> => {
    const body = await bodyOf(await get(services.fulcio, `${URLS.fulcio}/api/v2/trustBundle`));
    return (body["chains"] as { certificates: string[] }[]).map(({ certificates }) => certificates);
  };

  test("are the same when the store is opened again, with what was issued", async () => {
    const store = createMemoryStore();
    const first = await openIdentityServices({}, store);
    const [leaf, intermediate] = await chainOf(await requestCertificate(first));
    const again = await openIdentityServices({}, store);
    expect(again.fulcio.authorities()).toEqual(first.fulcio.authorities());
    expect(again.fulcio.recentCertificates()).toEqual(first.fulcio.recentCertificates());
    expect(again.ctLog.size).toBe(1);
    await verifyOwnSct(leaf, intermediate, again);
    const [next] = await chainOf(await requestCertificate(again));
    expect(next.verify(intermediate.publicKey)).toBe(true);
  });

  test("are followed by another, while the one before stays good as long as what it issued", async () => {
    const store = createMemoryStore();
    const services = await openIdentityServices({}, store);
    const [oldLeaf] = await chainOf(await requestCertificate(services));
    services.contexts.fulcio.time = new Date(START.getTime() + MINUTE_MS + 250);
    await services.fulcio.rotate();
    const [leaf, intermediate, root] = await chainOf(await requestCertificate(services));
    expect(leaf.verify(intermediate.publicKey)).toBe(true);
    expect(leaf.issuer).not.toBe(oldLeaf.issuer);

    const [before, now, ...more] = services.fulcio.authorities();
    expect(more).toEqual([]);
    expect([before?.start, before?.end]).toEqual([START, new Date(START.getTime() + 11 * MINUTE_MS + 250)]);
    expect([now?.start, now?.end]).toEqual([new Date(START.getTime() + MINUTE_MS), undefined]);
    expect(now).toMatchObject({ url: URLS.fulcio, operator: "sandbox" });
    expect(now?.certificates.map((der) => Buffer.from(der))).toEqual([intermediate.raw, root.raw]);
    const [newest, oldest] = await trustBundle(services);
    expect(newest).toEqual([intermediate.toString(), root.toString()]);
    expect(oldLeaf.verify(new X509Certificate(oldest?.[0] ?? "").publicKey)).toBe(true);

    const again = await openIdentityServices({}, store);
    expect(again.fulcio.authorities()).toEqual(services.fulcio.authorities());
    const roots = await bodyOf(await get(again.ctLog, `${URLS.ctlog}/ct/v1/get-roots`));
    expect(roots["certificates"]).toEqual([before, now].map((one) => base64(one?.certificates.at(-1))));
  });
});

describe("the forgeries of createFulcio", () => {
  test.for(FULCIO_FORGERIES)("have one thing wrong, which others see: %s", async (forgery) => {
    const services = await openIdentityServices();
    await requestCertificate(services);
    services.contexts.fulcio.forged = forgery;
    const key = clientKey();
    const response = await requestCertificate(services, { key });
    expect(response.status).toBe(200);
    const [leaf, intermediate, root] = await chainOf(response);
    const [authority] = services.fulcio.authorities();
    const found = {
      "other-key": leaf.publicKey.export({ type: "spki", format: "pem" }) !== key.pem,
      "other-identity": leaf.subjectAltName !== "email:dev@example.com",
      "other-sct": await verifyOwnSct(leaf, intermediate, services).then(
        () => false,
        (error: unknown) => (error as { code?: string }).code === "SCT_INVALID",
      ),
      "wrong-ca": !Buffer.from(authority?.certificates.at(-1) ?? []).equals(root.raw),
      expired: leaf.validToDate < START,
    };
    expect(found).toEqual(Object.fromEntries(FULCIO_FORGERIES.map((name) => [name, name === forgery])));
    // The chain holds together in any case
    expect([leaf.verify(intermediate.publicKey), intermediate.verify(root.publicKey)]).toEqual([true, true]);
    services.contexts.fulcio.forged = undefined;
    expect(
      (await chainOf(await requestCertificate(services)))[2].raw.equals(
        Buffer.from(authority?.certificates.at(-1) ?? []),
      ),
    ).toBe(true);
  });

  test("are not in the trust bundle", async () => {
    const services = await openIdentityServices();
    services.contexts.fulcio.forged = "wrong-ca";
    await requestCertificate(services);
    const { chains } = await bodyOf(await get(services.fulcio, `${URLS.fulcio}/api/v2/trustBundle`));
    expect(chains).toHaveLength(1);
  });
});

async function requestByCsr(services: IdentityServices, pem: string): Promise<Response> {
  return await post(services.fulcio, V2, {
    credentials: { oidcIdentityToken: await services.oidc.mintToken("email") },
    certificateSigningRequest: Buffer.from(pem).toString("base64"),
  });
}

function csrOf(privateKey: KeyObject = clientKey().privateKey, ...options: readonly string[]): string {
  writeFileSync(join(directory, "request.key"), privateKey.export({ type: "pkcs8", format: "pem" }));
  return openssl(
    "req",
    "-new",
    "-key",
    "request.key",
    "-subj",
    "/CN=mallory@example.com",
    "-config",
    "/dev/null",
    ...options,
  );
}

/** The key of one request under the signature of another. */
function resignedCsr(): string {
  const parts = (): readonly Uint8Array[] => {
    const reader = DerReader.of(parseDer(parsePem(csrOf())[0]?.bytes ?? new Uint8Array(0)));
    return [reader.next().bytes, reader.next().bytes, reader.next().bytes];
  };
  const [info = new Uint8Array(0)] = parts();
  return encodePem("CERTIFICATE REQUEST", encodeSequence(info, ...parts().slice(1)));
}

/** A P-256 key as no client of Sigstore writes it. */
function compressedPoint(): string {
  const point = createPublicKey(clientKey().privateKey).export({ type: "spki", format: "der" }).subarray(-65);
  const compressed = Buffer.concat([Buffer.of(2 + (point.readUInt8(64) & 1)), point.subarray(1, 33)]);
  const algorithm = encodeSequence(encodeOid("1.2.840.10045.2.1"), encodeOid("1.2.840.10045.3.1.7"));
  return encodePem("PUBLIC KEY", encodeSequence(algorithm, encodeBitString(compressed)));
}
