/**
 * A signature over what is to be signed.
 *
 * @module
 */

import type { CryptoProvider } from "../crypto/provider.ts";
import type { PublicKey } from "../crypto/public-key.ts";
import type { SignatureAlgorithm } from "../crypto/registry.ts";
import { VerificationError } from "../errors.ts";
import type { Signer } from "../keys/signer.ts";
import { describeContent, type SigningContent } from "./artifact.ts";
import type { Deadline } from "./deadline.ts";

/**
 * Signs. A signature that does not verify is never shown to a service.
 *
 * @throws {@link VerificationError} `SIGNATURE_INVALID`, and what the signer throws.
 * @see Sigstore client specification §2.1.4
 */
export async function makeSignature(
  signer: Signer,
  content: SigningContent,
  crypto: CryptoProvider,
  deadline: Deadline,
): Promise<Uint8Array> {
  const { algorithm } = signer;
  const signature = await deadline.race("signing", signWith(signer, content, deadline.signal));
  if (!(await isSignatureOver(content, signature, signer, crypto))) {
    throw new VerificationError("SIGNATURE_INVALID", "the key made a signature that does not verify", {
      expected: `a signature of ${algorithm.name} over ${describeContent(content)}`,
      remedy: "check that private and public key belong together, and that the key signs with this algorithm",
    });
  }
  return signature;
}

async function signWith(signer: Signer, content: SigningContent, signal: AbortSignal): Promise<Uint8Array> {
  const message = messageOf(content);
  if (message !== undefined) return await signer.sign(message, signal);
  if (signer.signDigest === undefined) throw new TypeError(`${describeContent(content)} was not read for this key`);
  return await signer.signDigest(content.digest.value, signal);
}

/** Tells whether a signature is one over this content, by this key. */
export async function isSignatureOver(
  content: SigningContent,
  signature: Uint8Array,
  { algorithm, publicKey }: { readonly algorithm: SignatureAlgorithm; readonly publicKey: PublicKey },
  crypto: CryptoProvider,
): Promise<boolean> {
  const message = messageOf(content);
  return message === undefined
    ? await crypto.verifyDigest(algorithm, publicKey, signature, content.digest.value)
    : await crypto.verify(algorithm, publicKey, signature, message);
}

/** What is signed; of a large artifact there is only a digest. */
function messageOf(content: SigningContent): Uint8Array | undefined {
  return content.kind === "envelope" ? content.pae : content.bytes;
}
