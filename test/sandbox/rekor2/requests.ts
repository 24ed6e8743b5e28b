import { createHash, generateKeyPairSync, sign, type KeyObject } from "node:crypto";

/** Is a signer with the key that every test may use. */
export interface TestSigner {
  readonly privateKey: KeyObject;
  readonly spki: Uint8Array;
  readonly pem: string;
}

export function testSigner(): TestSigner {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    privateKey,
    spki: publicKey.export({ format: "der", type: "spki" }),
    pem: publicKey.export({ format: "pem", type: "spki" }),
  };
}

export const base64 = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString("base64");
export const hashOf = (artifact: string): Buffer => createHash("sha256").update(artifact).digest();
export const signatureOf = ({ privateKey }: TestSigner, artifact: string): Buffer =>
  sign("sha256", Buffer.from(artifact), privateKey);

/** What of a request can be another. */
export interface RequestParts {
  readonly digest?: string;
  readonly content?: string;
  readonly keyDetails?: unknown;
  readonly verifier?: unknown;
}

/** A `CreateEntryRequest` for an artifact. */
export function hashedRekordRequest(
  signer: TestSigner,
  artifact: string,
  parts: RequestParts = {},
): { readonly hashedRekordRequestV002: unknown } {
  return {
    hashedRekordRequestV002: {
      digest: parts.digest ?? base64(hashOf(artifact)),
      signature: {
        content: parts.content ?? base64(signatureOf(signer, artifact)),
        verifier: parts.verifier ?? {
          publicKey: { rawBytes: base64(signer.spki) },
          keyDetails: parts.keyDetails ?? "PKIX_ECDSA_P256_SHA_256",
        },
      },
    },
  };
}
