/**
 * Certificate signing requests, for authorities that want one instead of a bare key.
 *
 * @module
 */

import { contextTag } from "../asn1/der.ts";
import { OID } from "../asn1/oids.ts";
import { encodeBitString, encodeDer, encodeInteger, encodeNull, encodeOid, encodeSequence } from "../asn1/writer.ts";
import { DIGEST_LENGTH, type HashAlgorithm } from "../crypto/digest.ts";
import type { PublicKey } from "../crypto/public-key.ts";
import type { SignatureAlgorithm } from "../crypto/registry.ts";
import { encodePem } from "../encoding/pem.ts";
import { VerificationError } from "../errors.ts";

/** Is the part of a `Signer` that signs a request. */
export interface RequestSigner {
  readonly publicKey: PublicKey;
  readonly algorithm: SignatureAlgorithm;
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/**
 * Creates a certificate signing request for a key, signed with it. It names nobody: the identity token does.
 *
 * @returns PEM.
 * @throws {@link VerificationError} `ALGORITHM_UNSUPPORTED` for an algorithm that certificates have no name for.
 * @see RFC 2986 §4
 */
export async function createCertificateSigningRequest(signer: RequestSigner): Promise<string> {
  const algorithm = algorithmIdentifier(signer.algorithm);
  const info = encodeSequence(
    encodeInteger(0n),
    encodeSequence(), // subject: no name
    signer.publicKey.spki,
    encodeDer(contextTag(0, true)), // attributes: none
  );
  const request = encodeSequence(info, algorithm, encodeBitString(await signer.sign(info)));
  return encodePem("CERTIFICATE REQUEST", request);
}

const ECDSA: Readonly<Record<HashAlgorithm, string>> = {
  sha256: OID.ecdsaWithSha256,
  sha384: OID.ecdsaWithSha384,
  sha512: OID.ecdsaWithSha512,
};
const RSA: Readonly<Record<HashAlgorithm, string>> = {
  sha256: OID.sha256WithRsaEncryption,
  sha384: OID.sha384WithRsaEncryption,
  sha512: OID.sha512WithRsaEncryption,
};
const HASH: Readonly<Record<HashAlgorithm, string>> = { sha256: OID.sha256, sha384: OID.sha384, sha512: OID.sha512 };
const ML_DSA: Readonly<Record<string, string>> = {
  "ml-dsa-44": OID.mlDsa44,
  "ml-dsa-65": OID.mlDsa65,
  "ml-dsa-87": OID.mlDsa87,
};

/** @see RFC 5758 §3.2, RFC 4055 §5 and §3.1, RFC 8410 §3, RFC 9881 §2 */
function algorithmIdentifier({ name, scheme, hash }: SignatureAlgorithm): Uint8Array {
  switch (scheme) {
    case "ecdsa":
      if (hash !== undefined) return encodeSequence(encodeOid(ECDSA[hash]));
      break;
    case "rsa-pkcs1":
      if (hash !== undefined) return encodeSequence(encodeOid(RSA[hash]), encodeNull());
      break;
    case "rsa-pss":
      if (hash !== undefined) return encodeSequence(encodeOid(OID.rsassaPss), pssParameters(hash));
      break;
    case "ed25519":
      return encodeSequence(encodeOid(OID.ed25519));
    case "ml-dsa": {
      const oid = ML_DSA[name];
      if (oid !== undefined) return encodeSequence(encodeOid(oid));
      break;
    }
    case "ed25519ph":
      break; // RFC 8410 §3 has no identifier for it
  }
  throw new VerificationError("ALGORITHM_UNSUPPORTED", `a certificate cannot be asked for with ${name}`, {
    remedy: "ask with a proof of possession instead",
  });
}

/** The salt as long as the hash, as the registry has it. */
function pssParameters(hash: HashAlgorithm): Uint8Array {
  const digest = encodeSequence(encodeOid(HASH[hash]), encodeNull());
  return encodeSequence(
    encodeDer(contextTag(0, true), digest),
    encodeDer(contextTag(1, true), encodeSequence(encodeOid(OID.mgf1), digest)),
    encodeDer(contextTag(2, true), encodeInteger(BigInt(DIGEST_LENGTH[hash]))),
  );
}
