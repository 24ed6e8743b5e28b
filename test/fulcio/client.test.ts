import { X509Certificate, generateKeyPairSync, sign } from "node:crypto";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { parsePublicKey } from "../../src/crypto/public-key.ts";
import { fetchFulcioIssuers, requestSigningCertificate } from "../../src/fulcio/client.ts";
import { answering, json } from "../support/http.ts";
import { base64 } from "../support/logs.ts";
import { spkiOf, type Keys } from "../support/certificates.ts";
import { detachedSct, issueCertificate, makeCa, makeCtLog, signerKeys } from "../support/sandbox/authorities.ts";

const BASE = "https://fulcio.test";
const TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl";
const code = (value: string): unknown => expect.objectContaining({ code: value }) as unknown;
const pemOf = (der: Uint8Array): string => new X509Certificate(der).toString();

const ca = makeCa();
const ctLog = makeCtLog();
const keys = signerKeys();
const { der: leaf } = issueCertificate(ca, { keys }, ctLog);
const bare = issueCertificate(ca, { keys, ctLogs: [] }, ctLog).der;
const issuers = [pemOf(ca.intermediate.der), pemOf(ca.root.der)];
const publicKeyOf = (some: Keys): ReturnType<typeof parsePublicKey> => parsePublicKey(spkiOf(some));
const proofOfPossession = new Uint8Array(sign("sha256", Buffer.from("alice@example.com"), keys.privateKey));
const request = { identityToken: TOKEN, publicKey: publicKeyOf(keys), proofOfPossession };

const embedded = (...certificates: readonly unknown[]): unknown => ({
  signedCertificateEmbeddedSct: { chain: { certificates } },
});
const VALID = embedded(pemOf(leaf), ...issuers);

describe("requestSigningCertificate (fulcio.proto, CreateSigningCertificate)", () => {
  test("asks with a key and a proof of possession, and takes certificate and chain", async () => {
    const options = answering(json(VALID));
    const issued = await requestSigningCertificate(`${BASE}/`, request, options);
    expect(issued.certificate.bytes).toEqual(leaf);
    expect(issued.chain.map(({ bytes }) => bytes)).toEqual([ca.intermediate.der, ca.root.der]);
    expect(issued.detachedSct).toBeUndefined();
    const [asked] = options.asked;
    expect([asked?.method, asked?.url, asked?.headers.get("content-type")]).toEqual([
      "POST",
      "https://fulcio.test/api/v2/signingCert",
      "application/json",
    ]);
    expect(JSON.parse(Buffer.from(asked?.body ?? []).toString())).toEqual({
      credentials: { oidcIdentityToken: TOKEN },
      publicKeyRequest: {
        publicKey: { algorithm: "ECDSA", content: keys.publicKey.export({ type: "spki", format: "pem" }) },
        proofOfPossession: base64(proofOfPossession),
      },
    });
  });

  test("asks with a certificate signing request", async () => {
    const options = answering(json(VALID, 201));
    const pem = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
    const { publicKey } = request;
    await requestSigningCertificate(BASE, { identityToken: TOKEN, publicKey, certificateSigningRequest: pem }, options);
    expect(JSON.parse(Buffer.from(options.asked[0]?.body ?? []).toString())).toEqual({
      credentials: { oidcIdentityToken: TOKEN },
      certificateSigningRequest: base64(pem),
    });
  });

  test("takes an SCT beside the certificate", async () => {
    const sct = base64(detachedSct(ctLog, bare));
    const answer = {
      signedCertificateDetachedSct: {
        chain: { certificates: [pemOf(bare), ...issuers] },
        signedCertificateTimestamp: sct,
      },
    };
    const issued = await requestSigningCertificate(BASE, request, answering(json(answer)));
    expect(issued.certificate.bytes).toEqual(bare);
    expect(issued.detachedSct?.logId).toEqual(ctLog.logId);
  });

  test("refuses a certificate for another key", async () => {
    const other = issueCertificate(ca, {}, ctLog).der;
    await expect(
      requestSigningCertificate(BASE, request, answering(json(embedded(pemOf(other), ...issuers)))),
    ).rejects.toThrow(
      expect.objectContaining({
        code: "CERTIFICATE_KEY_MISMATCH",
        expected: base64(spkiOf(keys)),
      }),
    );
  });

  test.for<[string, unknown]>([
    ["is empty", {}],
    ["has no certificate", embedded()],
    ["has too many certificates", embedded(...Array.from({ length: 17 }, () => pemOf(leaf)))],
    ["has two certificates in one text", embedded(pemOf(leaf) + issuers.join(""))],
    ["has something else than a certificate", embedded(keys.publicKey.export({ type: "spki", format: "pem" }))],
    ["has a number for a certificate", embedded(1)],
    ["has a certificate that broke off", embedded(pemOf(leaf).replace(/.{64}\n/, ""))],
    ["has a list for an answer", [VALID]],
    [
      "has an SCT that is none",
      { signedCertificateDetachedSct: { chain: { certificates: [pemOf(bare)] }, signedCertificateTimestamp: "AAAA" } },
    ],
  ])("refuses an answer that %s", async ([, answer]) => {
    const body = JSON.stringify(answer);
    await expect(requestSigningCertificate(BASE, request, answering(new Response(body)))).rejects.toThrow(
      expect.objectContaining({ code: "SERVICE_RESPONSE_INVALID", service: "Fulcio", attempts: 1 }),
    );
  });

  test.for([
    ["a page of HTML", "<html>Log in to the hotel</html>"],
    ["text that broke off", JSON.stringify(VALID).slice(0, -1)],
    ["a name twice", '{"signedCertificateEmbeddedSct":{},"signedCertificateEmbeddedSct":{}}'],
    ["nothing", ""],
  ] as const)("refuses %s for an answer", async ([, body]) => {
    await expect(requestSigningCertificate(BASE, request, answering(new Response(body)))).rejects.toThrow(
      code("SERVICE_RESPONSE_INVALID"),
    );
  });

  test("refuses an answer that is longer than any chain", async () => {
    const options = answering(new Response("x".repeat(1024 * 1024 + 1)));
    await expect(requestSigningCertificate(BASE, request, options)).rejects.toThrow(code("HTTP_RESPONSE_TOO_LARGE"));
  });

  test("says what Fulcio says where it refuses, and asks once", async () => {
    const message = "The signature supplied in the request could not be verified";
    const options = answering(json({ code: 3, message, details: [] }, 400));
    await expect(requestSigningCertificate(BASE, request, options)).rejects.toThrow(
      expect.objectContaining({
        code: "FULCIO_REQUEST_REFUSED",
        message: `Fulcio (https://fulcio.test/api/v2/signingCert) answered with status 400: "${message}"`,
        status: 400,
        retryable: false,
      }),
    );
    expect(options.asked).toHaveLength(1);
  });

  test("asks again where Fulcio cannot reach what is behind it", async () => {
    const options = answering(json({ code: 13, message: "error communicating with CA backend" }, 500), json(VALID));
    await requestSigningCertificate(BASE, request, options);
    expect(options.asked).toHaveLength(2);
  });

  test("repeats the token nowhere, not even where Fulcio does", async () => {
    for (const answer of [json({ message: `bad token ${TOKEN}` }, 400), new Response(TOKEN), new TypeError(TOKEN)]) {
      const error: unknown = await requestSigningCertificate(BASE, request, {
        ...answering(answer),
        retries: 0,
      }).catch((caught: unknown) => caught);
      const { message, expected, found } = error as { message: string; expected?: string; found?: string };
      expect(inspect({ message, expected, found })).not.toContain(TOKEN.slice(0, 20));
    }
  });

  test.for([
    ["RSA_PSS", "rsa"],
    ["ED25519", "ed25519"],
    ["ECDSA", "p384"],
  ] as const)("calls a key %s where it is %s", async ([name, kind]) => {
    const own = kind === "rsa" ? generateKeyPairSync("rsa", { modulusLength: 2048 }) : signerKeys(kind);
    const options = answering(json(embedded(pemOf(issueCertificate(ca, { keys: own }, ctLog).der))));
    await requestSigningCertificate(BASE, { ...request, publicKey: publicKeyOf(own) }, options);
    expect(Buffer.from(options.asked[0]?.body ?? []).toString()).toContain(`"algorithm":"${name}"`);
  });
});

describe("fetchFulcioIssuers", () => {
  test("reads issuers, one with a wildcard", async () => {
    // As Fulcio 1.8.8 answers.
    const answer = {
      issuers: [
        {
          issuerUrl: "https://token.actions.test",
          audience: "sigstore",
          challengeClaim: "sub",
          spiffeTrustDomain: "",
          issuerType: "github-workflow",
          subjectDomain: "",
        },
        { wildcardIssuerUrl: "https://*.oidc.test/id", audience: "sigstore", challengeClaim: "sub", issuerType: "uri" },
      ],
    };
    expect(await fetchFulcioIssuers(BASE, answering(json(answer)))).toEqual([
      {
        issuerUrl: "https://token.actions.test",
        isWildcard: false,
        audience: "sigstore",
        challengeClaim: "sub",
        issuerType: "github-workflow",
      },
      {
        issuerUrl: "https://*.oidc.test/id",
        isWildcard: true,
        audience: "sigstore",
        challengeClaim: "sub",
        issuerType: "uri",
      },
    ]);
  });

  test("refuses an issuer without a URL", async () => {
    await expect(fetchFulcioIssuers(BASE, answering(json({ issuers: [{ audience: "x" }] })))).rejects.toThrow(
      code("SERVICE_RESPONSE_INVALID"),
    );
  });
});
