import { encodeBase64 } from "../encoding/base64.ts";
import { defaultCryptoProvider, type CryptoProvider } from "./provider.ts";
import type { PublicKey } from "./public-key.ts";

/**
 * Computes the hint by which cosign names a key in a bundle: base64 of the SHA-256 of its SubjectPublicKeyInfo.
 *
 * A hint proves nothing: whoever verifies brings the key.
 *
 * @see {@link https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_common.proto | sigstore_common.proto}, `PublicKeyIdentifier`
 */
export async function publicKeyHint(key: PublicKey, crypto: CryptoProvider = defaultCryptoProvider()): Promise<string> {
  return encodeBase64(await crypto.digest("sha256", key.spki));
}
