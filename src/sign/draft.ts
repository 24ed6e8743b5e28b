/**
 * A signature on its way to a bundle.
 *
 * @module
 */

import { BUNDLE_MEDIA_TYPE, type Bundle, type VerificationMaterial } from "../bundle/bundle.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import type { PublicKey } from "../crypto/public-key.ts";
import type { SignatureAlgorithm } from "../crypto/registry.ts";
import type { ProposedEntry } from "../rekor/proposed-entry.ts";
import type { EntryExpectation } from "../tlog/entry-body.ts";
import type { TransparencyLogEntry } from "../tlog/transparency-log-entry.ts";
import type { Certificate } from "../x509/certificate.ts";
import type { SignedCertificateTimestamp } from "../x509/sct.ts";
import type { SigningContent } from "./artifact.ts";
import type { SelectedServices } from "./events.ts";
import type { Settings } from "./settings.ts";
import type { SigningBinding } from "./state.ts";

/** Is what a verifier will check the signature with. */
export type SignerMaterial =
  | {
      readonly kind: "certificate";
      readonly certificate: Certificate;
      /** That go into the bundle beside it. */
      readonly intermediates: readonly Certificate[];
      /** That came beside the certificate, and have no place in a bundle. */
      readonly detachedScts: readonly SignedCertificateTimestamp[];
    }
  | {
      readonly kind: "public-key";
      /** Which key verifiers are to look for. */
      readonly hint: string;
    };

/** Is a signature with what services have answered about it so far. */
export interface Draft {
  readonly content: SigningContent;
  readonly publicKey: PublicKey;
  readonly algorithm: SignatureAlgorithm;
  readonly material: SignerMaterial;
  readonly signature: Uint8Array;
  /** What a state file of it belongs to. */
  readonly binding: SigningBinding;
  services: SelectedServices;
  /** By the URL of the authority. */
  readonly timestamps: Map<string, Uint8Array>;
  /** By the URL of the log. */
  readonly entries: Map<string, TransparencyLogEntry>;
  submittingTo: string | undefined;
}

/** Writes the bundle as far as there is one. */
export function toBundle(draft: Draft): Bundle {
  const { content, signature } = draft;
  return {
    mediaType: BUNDLE_MEDIA_TYPE,
    version: "0.3",
    verificationMaterial: {
      content: toSignerMaterial(draft.material),
      tlogEntries: [...draft.entries.values()],
      rfc3161Timestamps: [...draft.timestamps.values()],
    },
    content:
      content.kind === "message"
        ? {
            kind: "messageSignature",
            messageDigest: { algorithm: content.digest.algorithm, digest: content.digest.value },
            signature,
          }
        : {
            kind: "dsseEnvelope",
            envelope: {
              payload: content.payload,
              payloadType: content.payloadType,
              signatures: [{ sig: signature, keyid: "" }],
            },
          },
  };
}

function toSignerMaterial(material: SignerMaterial): VerificationMaterial["content"] {
  if (material.kind === "public-key") return { kind: "publicKey", hint: material.hint };
  const { certificate, intermediates } = material;
  if (intermediates.length === 0) return { kind: "certificate", certificate: certificate.bytes, fromChain: false };
  return { kind: "x509CertificateChain", certificates: [certificate, ...intermediates].map(({ bytes }) => bytes) };
}

/** Writes what a log is asked to make public. */
export function toProposedEntry({ content, publicKey, algorithm, material, signature }: Draft): ProposedEntry {
  const { keyDetails } = algorithm;
  if (keyDetails === undefined) throw new TypeError(`${algorithm.name} is no algorithm to sign with`);
  const verifier =
    material.kind === "certificate"
      ? ({ kind: "certificate", der: material.certificate.bytes } as const)
      : ({ kind: "public-key", der: publicKey.spki } as const);
  if (content.kind === "message")
    return { kind: "hashedrekord", digest: content.digest, signature, verifier, keyDetails };
  const { payload, payloadType } = content;
  return {
    kind: "dsse",
    envelope: { payload, payloadType, signatures: [{ sig: signature, keyid: "" }] },
    verifier,
    keyDetails,
  };
}

/** Says what an entry about this signature must hold. */
export function toExpectation(
  { content, publicKey, algorithm, material, signature }: Draft,
  crypto: CryptoProvider,
): EntryExpectation {
  return {
    signature,
    verifier:
      material.kind === "certificate"
        ? { kind: "certificate", der: material.certificate.bytes }
        : { kind: "public-key", key: publicKey },
    content:
      content.kind === "envelope"
        ? content
        : {
            kind: "message",
            digests: (hash) => {
              if (hash === content.digest.algorithm) return content.digest.value;
              return content.bytes === undefined ? undefined : crypto.digest(hash, content.bytes);
            },
          },
    keyAlgorithm: algorithm,
  };
}

/** Gives the certificate of a keyless signature: one that is given lives as long as it likes. */
export function shortLivedCertificate(material: SignerMaterial, { signer }: Settings): Certificate | undefined {
  return signer.kind === "keyless" && material.kind === "certificate" ? material.certificate : undefined;
}
