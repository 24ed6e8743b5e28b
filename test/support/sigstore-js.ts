/**
 * `@sigstore/verify` as a second opinion, asked the way its own command line asks it.
 *
 * @module
 */

import { createPublicKey, type KeyObject } from "node:crypto";

import { bundleFromJSON } from "@sigstore/bundle";
import { TrustedRoot as ProtoTrustedRoot } from "@sigstore/protobuf-specs";
import { toSignedEntity, toTrustMaterial, Verifier } from "@sigstore/verify";

/** What it is asked. */
export interface Question {
  readonly bundle: Uint8Array;
  readonly artifact: Uint8Array;
  readonly trustedRoot: Uint8Array;
  readonly signer: { readonly identity: string; readonly issuer: string } | { readonly keyPem: string };
  readonly tlogThreshold: number;
}

/** @returns `undefined` when it accepts, otherwise the reason that it gives. */
export function askSigstoreJs(question: Question): string | undefined {
  try {
    const text = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes));
    const bundle = bundleFromJSON(text(question.bundle));
    const entity = toSignedEntity(
      bundle,
      bundle.content.$case === "messageSignature" ? Buffer.from(question.artifact) : undefined,
    );
    const { signer, tlogThreshold } = question;
    const root = ProtoTrustedRoot.fromJSON(text(question.trustedRoot));
    const always = (): boolean => true;
    const material =
      "keyPem" in signer
        ? toTrustMaterial(root, () => ({ publicKey: publicKeyOf(signer.keyPem), validFor: always }))
        : toTrustMaterial(root);
    const keyed = "keyPem" in signer;
    const verifier = new Verifier(material, {
      tlogThreshold,
      ctlogThreshold: keyed ? 0 : 1,
      timestampThreshold: keyed ? 0 : 1,
    });
    verifier.verify(
      entity,
      keyed ? undefined : { subjectAlternativeName: signer.identity, extensions: { issuer: signer.issuer } },
    );
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function publicKeyOf(pem: string): KeyObject {
  return createPublicKey(pem);
}
