/**
 * Fulcio: the authority that certifies a key for whoever an identity token names.
 *
 * @see {@link https://github.com/sigstore/architecture-docs/blob/main/fulcio-spec.md | Fulcio specification}
 * @see {@link https://github.com/sigstore/fulcio/blob/main/fulcio.proto | fulcio.proto}
 * @module
 */

import type { PublicKey } from "../crypto/public-key.ts";
import { encodeBase64 } from "../encoding/base64.ts";
import { equalBytes } from "../encoding/bytes.ts";
import type { JsonObject } from "../encoding/json.ts";
import type { JsonReader } from "../encoding/json-reader.ts";
import { encodePem, parsePem } from "../encoding/pem.ts";
import { encodeUtf8 } from "../encoding/utf8.ts";
import { VerificationError } from "../errors.ts";
import { serviceUrl } from "../http/redirect.ts";
import { sendRequest, type RequestOptions } from "../http/request.ts";
import { readJsonAnswer } from "../http/service-answer.ts";
import {
  MAX_CERTIFICATE_ANSWER_BYTES,
  MAX_CHAIN_CERTIFICATES,
  MAX_DETACHED_SCT_BYTES,
  MAX_TRUST_ENTRIES,
} from "../limits.ts";
import { parseCertificate, type Certificate } from "../x509/certificate.ts";
import { parseDetachedSct, type SignedCertificateTimestamp } from "../x509/sct.ts";

const SERVICE = "Fulcio";

/** Is a certificate that Fulcio issued. That an authority which is trusted signed it is not proven. */
export interface SigningCertificate {
  readonly certificate: Certificate;
  /** The issuers, root last, as they were sent. */
  readonly chain: readonly Certificate[];
  /** Stands beside the certificate where the authority cannot embed it. */
  readonly detachedSct?: SignedCertificateTimestamp;
}

/** Asks for a certificate, and shows that the key is one's own: by a signature over the token's subject, or by a request that is signed. */
export type SigningCertificateRequest = {
  /** The token as it was issued, for the audience of this Fulcio. */
  readonly identityToken: string;
  readonly publicKey: PublicKey;
} & (
  | {
      /** A signature over what the token's issuer is set up to be challenged by: e-mail address or subject. DER for ECDSA. */
      readonly proofOfPossession: Uint8Array;
    }
  | {
      /** PEM, see `createCertificateSigningRequest`. */
      readonly certificateSigningRequest: string;
    }
);

/**
 * Gets a certificate for a key.
 *
 * Checked is that the certificate is for this key. Chain, SCT and identity are not: see `verify/`.
 *
 * @throws ServiceError `FULCIO_REQUEST_REFUSED` with Fulcio's reason, `SERVICE_RESPONSE_INVALID`, and those of `sendRequest`.
 * @throws {@link VerificationError} `CERTIFICATE_KEY_MISMATCH`; `ALGORITHM_UNSUPPORTED` for a chain with keys that are not known.
 */
export async function requestSigningCertificate(
  baseUrl: string,
  request: SigningCertificateRequest,
  options: RequestOptions,
): Promise<SigningCertificate> {
  const answer = await sendRequest(
    serviceUrl(baseUrl, "/api/v2/signingCert"),
    {
      method: "POST",
      headers: { accept: "application/json", "content-type": "application/json" },
      body: JSON.stringify({
        credentials: { oidcIdentityToken: request.identityToken },
        ...keyRequest(request),
      }),
      accept: [200, 201],
      maxBytes: MAX_CERTIFICATE_ANSWER_BYTES,
      refusal: "FULCIO_REQUEST_REFUSED",
    },
    { ...options, service: SERVICE },
  );
  const issued = readJsonAnswer(answer, SERVICE, "a certificate", readSigningCertificate);
  const found = issued.certificate.subjectPublicKeyInfo;
  if (!equalBytes(found, request.publicKey.spki)) {
    throw new VerificationError("CERTIFICATE_KEY_MISMATCH", "Fulcio issued a certificate for another key", {
      expected: encodeBase64(request.publicKey.spki),
      found: encodeBase64(found),
      remedy: "do not use the certificate; tell the operator of this Fulcio",
    });
  }
  return issued;
}

function keyRequest(request: SigningCertificateRequest): JsonObject {
  if ("certificateSigningRequest" in request) {
    return { certificateSigningRequest: encodeBase64(encodeUtf8(request.certificateSigningRequest)) };
  }
  const { publicKey, proofOfPossession } = request;
  const algorithm = KEY_ALGORITHMS[publicKey.type];
  return {
    publicKeyRequest: {
      publicKey: { ...(algorithm !== undefined && { algorithm }), content: encodePem("PUBLIC KEY", publicKey.spki) },
      proofOfPossession: encodeBase64(proofOfPossession),
    },
  };
}

/** Of the enumeration `PublicKeyAlgorithm`, which Fulcio does not look at: the key says it too. */
const KEY_ALGORITHMS: Readonly<Partial<Record<PublicKey["type"], string>>> = {
  "ecdsa-p256": "ECDSA",
  "ecdsa-p384": "ECDSA",
  "ecdsa-p521": "ECDSA",
  rsa: "RSA_PSS",
  "rsa-pss": "RSA_PSS",
  ed25519: "ED25519",
};

/** Fields that are not known are left alone: a later Fulcio may say more. */
function readSigningCertificate(reader: JsonReader): SigningCertificate {
  const answer = reader.object();
  const detached = answer.optional("signedCertificateDetachedSct")?.object();
  const holder = detached ?? answer.required("signedCertificateEmbeddedSct").object();
  const [certificate, ...chain] = readChain(holder.required("chain"));
  const sct = detached?.optional("signedCertificateTimestamp");
  return {
    certificate,
    chain,
    ...(sct !== undefined && { detachedSct: parseDetachedSct(sct.base64(MAX_DETACHED_SCT_BYTES)) }),
  };
}

function readChain(reader: JsonReader): readonly [Certificate, ...Certificate[]] {
  const list = reader.object().required("certificates");
  const [first, ...others] = list.array(MAX_CHAIN_CERTIFICATES).map((item) => {
    const [block, second] = parsePem(item.string());
    if (block?.label !== "CERTIFICATE" || second !== undefined) return item.fail("is not one certificate in PEM");
    return parseCertificate(block.bytes);
  });
  if (first === undefined) return list.fail("is empty");
  return [first, ...others];
}

/** Is an identity provider whose tokens a Fulcio takes. */
export interface FulcioIssuer {
  /** The `iss` of the tokens; with `*` where `isWildcard`. */
  readonly issuerUrl: string;
  readonly isWildcard: boolean;
  /** The `aud` that tokens must have. */
  readonly audience: string;
  /** The claim whose value a proof of possession signs. */
  readonly challengeClaim: string;
  /** The kind of the issuer, for instance `email`, `github-workflow`; empty where an older Fulcio does not say. */
  readonly issuerType: string;
}

/**
 * Fetches the identity providers that a Fulcio takes tokens from.
 *
 * @throws as {@link requestSigningCertificate}.
 */
export async function fetchFulcioIssuers(baseUrl: string, options: RequestOptions): Promise<readonly FulcioIssuer[]> {
  const answer = await getJson(baseUrl, "/api/v2/configuration", options);
  return readJsonAnswer(answer, SERVICE, "its configuration", (reader) => {
    const issuers = reader.object().optional("issuers")?.array(MAX_TRUST_ENTRIES) ?? [];
    return issuers.map((item) => {
      const issuer = item.object();
      const text = (name: string): string => issuer.optional(name)?.string() ?? "";
      const wildcard = text("wildcardIssuerUrl");
      return {
        issuerUrl: wildcard === "" ? issuer.required("issuerUrl").string() : wildcard,
        isWildcard: wildcard !== "",
        audience: text("audience"),
        challengeClaim: text("challengeClaim"),
        issuerType: text("issuerType"),
      };
    });
  });
}

async function getJson(baseUrl: string, path: string, options: RequestOptions): ReturnType<typeof sendRequest> {
  return await sendRequest(
    serviceUrl(baseUrl, path),
    {
      method: "GET",
      headers: { accept: "application/json" },
      accept: [200],
      maxBytes: MAX_CERTIFICATE_ANSWER_BYTES,
      refusal: "FULCIO_REQUEST_REFUSED",
    },
    { ...options, service: SERVICE },
  );
}
