import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { encodeUtf8 } from "../../encoding/utf8.ts";
import type { HashedRekordRequest } from "./entry-request.ts";

/** Makes a request that somebody else could have made, for a log that answers with another's entry. */
export function decoyRequest(): HashedRekordRequest {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const artifact = encodeUtf8("another artifact");
  return {
    digest: new Uint8Array(createHash("sha256").update(artifact).digest()),
    signature: new Uint8Array(sign("sha256", artifact, privateKey)),
    verifier: { kind: "public-key", der: new Uint8Array(publicKey.export({ format: "der", type: "spki" })) },
    keyDetails: "PKIX_ECDSA_P256_SHA_256",
  };
}
