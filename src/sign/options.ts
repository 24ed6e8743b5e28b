/**
 * What a signer asks for, and what it is given back.
 *
 * @module
 */

import type { Bundle } from "../bundle/bundle.ts";
import type { Digest, HashAlgorithm } from "../crypto/digest.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import type { PublicKey } from "../crypto/public-key.ts";
import type { SignatureAlgorithm } from "../crypto/registry.ts";
import type { SigstoreError } from "../errors.ts";
import type { FilePath, TrustChoice } from "../files/verify-file.ts";
import type { Fetch } from "../http/request.ts";
import type { Signer } from "../keys/signer.ts";
import type { SigningConfig } from "../trust/signing-config.ts";
import type { LoadSigningConfigOptions } from "../tuf/load-signing-config.ts";
import type { VerifiedBundle } from "../verify/evidence.ts";
import type { ExpectedIdentity } from "../verify/identity.ts";
import type { Disclosure } from "./disclosure.ts";
import type { SigningEvent } from "./events.ts";

/** Is what is to be signed: its bytes, a stream of them, a file, or a digest made elsewhere. */
export type SignableArtifact =
  | Uint8Array
  | AsyncIterable<Uint8Array>
  | ReadableStream<Uint8Array>
  | FilePath
  /** Only for keys that sign digests; its algorithm must be the hash of the key's algorithm. */
  | { readonly digest: Digest };

/** Is what an attestation is to say: a statement as it is to be signed, byte for byte, or the parts to make one of. */
export type AttestableStatement =
  | Uint8Array
  | string
  | FilePath
  | {
      readonly predicateType: string;
      /** JSON text, which is signed as it is written: large numbers, unknown fields and the order of keys survive. */
      readonly predicate: string | Uint8Array;
      readonly subjects: readonly [AttestationSubject, ...AttestationSubject[]];
      /** Default: `https://in-toto.io/Statement/v0.1`, as cosign writes. */
      readonly statementType?: "https://in-toto.io/Statement/v0.1" | "https://in-toto.io/Statement/v1" | undefined;
    };

/** Is one artifact that a statement is about. */
export type AttestationSubject =
  | { readonly name?: string | undefined; readonly digests: readonly [Digest, ...Digest[]] }
  | {
      readonly name?: string | undefined;
      readonly artifact: Exclude<SignableArtifact, { readonly digest: Digest }>;
      /** Default: sha256. */
      readonly algorithms?: readonly [HashAlgorithm, ...HashAlgorithm[]] | undefined;
    };

/** Says whose signature it will be. */
export type SignerChoice =
  | {
      /** A key that lasts as long as the session, and a certificate of Fulcio for the identity in the token. */
      readonly kind: "keyless";
      /** A token, or what obtains one. Only a function lets a session outlive its first token. */
      readonly identityToken: string | ((request: IdentityTokenRequest) => Promise<string>);
      /**
       * Obtains a token that needs no person, to compare with whom the certificate in a state file names; `undefined` where only a
       * login would give one. It is sent nowhere, and may have expired. Of no use beside a token that is text, and beside `identity`.
       */
      readonly knownToken?: (() => Promise<string | undefined>) | undefined;
      /** A name of the algorithm registry. Default `ecdsa-sha2-256-nistp256`. */
      readonly signingAlgorithm?: string | undefined;
      /** A key that is kept, in place of one that is made for the session. */
      readonly signer?: Signer | undefined;
      /** What the token's audience must be. Default `sigstore`. */
      readonly audience?: string | undefined;
      /**
       * How Fulcio is asked: for the key, with a signature over the token's subject, or by a certificate signing request, which does
       * not depend on which claim the instance takes for the subject. Default `public-key`.
       */
      readonly certificateRequest?: "public-key" | "csr" | undefined;
      /**
       * Whom the certificate must name. Default: whom the token names, as Fulcio's own configuration maps its claims; a private
       * instance may map them otherwise.
       */
      readonly identity?: ExpectedIdentity | undefined;
    }
  | {
      readonly kind: "key";
      /** A signer, or what loads one, which an Ed25519 key needs to be of use both for files and for statements. */
      readonly signer: Signer | ((request: SignerRequest) => Promise<Signer>);
      /** A certificate of the key, PEM or DER, in place of the key itself in the bundle. */
      readonly certificate?: string | Uint8Array | undefined;
      /** PEM, the certificate's issuer first. Root certificates in it are left out of the bundle. */
      readonly certificateChain?: string | Uint8Array | undefined;
    };

/** Is what a function that loads a key is told. It is called again only for an Ed25519 key that is needed both ways. */
export interface SignerRequest {
  /** Whether an Ed25519 key must sign hashes (`ed25519-ph`), as transparency logs want it. For other keys it means nothing. */
  readonly prehashed: boolean;
}

/** Is what a token function is told. */
export interface IdentityTokenRequest {
  readonly audience: string;
  /** 1 for the first token of a session, 2 for the next … */
  readonly attempt: number;
  readonly signal: AbortSignal | undefined;
}

/** Names one transparency log. */
export interface RekorChoice {
  readonly url: string;
  readonly majorApiVersion: 1 | 2;
}

/** Says which services to use. */
export type ServiceChoice =
  | {
      readonly kind: "signing-config";
      /** A config, a file that holds one, how to load it from a TUF repository, or what obtains it. The last two can be refreshed. */
      readonly signingConfig: SigningConfig | FilePath | LoadSigningConfigOptions | (() => Promise<SigningConfig>);
    }
  | {
      readonly kind: "urls";
      /** Needed for a keyless signature. */
      readonly fulcioUrl?: string | undefined;
      /** Every one is used. Default: none. */
      readonly rekor?: readonly RekorChoice[] | undefined;
      /** Whole URLs, every one is used. Default: none. */
      readonly timestampUrls?: readonly string[] | undefined;
    };

/** Configures signing. An omitted option is the safe one. */
export interface SigningOptions {
  readonly signer: SignerChoice;
  /** Default: the signing config of the TUF repository that `trust` names, otherwise the public-good instance's. */
  readonly services?: ServiceChoice | undefined;
  /**
   * By what every answer of a service, and the finished bundle, is verified. Default: the root of the TUF repository that the signing
   * config comes from, otherwise the public-good root. `"unsafe-none"` uses answers whose signatures nobody checked.
   */
  readonly trust?: TrustChoice | "unsafe-none" | undefined;
  /** SCTs that a certificate of Fulcio must have. Default 1; 0 only for an instance without a certificate transparency log. */
  readonly sctThreshold?: number | undefined;
  /** Milliseconds for one signature, without the time that the token takes: requests, retries and waits together. Default 3 minutes. */
  readonly timeoutMs?: number | undefined;
  /** Attempts after the first one of each request. Default 2. */
  readonly retries?: number | undefined;
  readonly fetch?: Fetch | undefined;
  readonly fulcioFetch?: Fetch | undefined;
  readonly rekorFetch?: Fetch | undefined;
  readonly timestampFetch?: Fetch | undefined;
  /** Waits between attempts; a test passes one that does not. */
  readonly sleep?: ((ms: number) => Promise<void>) | undefined;
  /** Default: the clock. */
  readonly now?: (() => Date) | undefined;
  /** Gives a number from 0 to below 1, to choose among services. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Is asked before anything of a signature becomes public. Default: it may. */
  readonly consent?: ((disclosure: Disclosure) => boolean | Promise<boolean>) | undefined;
  /** Is told what happens, never a secret. What it throws ends the signature. */
  readonly observer?: ((event: SigningEvent) => void) | undefined;
  readonly userAgent?: string | undefined;
  /** Default: node:crypto where there is one. */
  readonly crypto?: CryptoProvider | undefined;
  /** Default `process.env`: proxies. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
}

/** Configures one signature of a session. */
export interface SignatureOptions {
  /**
   * Path of a file that keeps an interrupted signature: certificate, signature, and what services answered, never a secret. The next
   * call with the same artifact and options goes on from it; it is removed once the bundle is finished.
   */
  readonly state?: string | undefined;
  /**
   * Is given the finished bundle before the state file is removed, to keep it. What it throws ends the signature and leaves the state,
   * so that nothing is made public twice because the bundle was lost.
   */
  readonly deliver?: ((signed: SignedBundle) => void | Promise<void>) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Configures a single signature. */
export type SignOptions = SigningOptions & Pick<SignatureOptions, "state" | "deliver">;

/** Is a finished signature. */
export interface SignedBundle {
  /** Of version 0.3. */
  readonly bundle: Bundle;
  /** The bundle as one line of JSON, without a newline. */
  readonly json: string;
  /** What the finished bundle was proven to be; `undefined` only with `trust: "unsafe-none"`. */
  readonly evidence: VerifiedBundle | undefined;
  /** Digest of the artifact, or of the statement. */
  readonly digest: Digest;
  /** The statement that was signed, byte for byte. */
  readonly statement?: Uint8Array | undefined;
  /** The key that signed. */
  readonly publicKey: PublicKey;
  readonly algorithm: SignatureAlgorithm;
  /** PEM of the certificate, where there is one. */
  readonly certificatePem: string | undefined;
  /** Whether a state file was gone on from. */
  readonly resumed: boolean;
}

/** Is what came of one artifact of a batch. */
export type SigningOutcome =
  | { readonly kind: "signed"; readonly index: number; readonly signed: SignedBundle }
  | { readonly kind: "failed"; readonly index: number; readonly error: SigstoreError | Error };

/** Configures a batch. */
export interface BatchOptions {
  /** Signatures under way at a time, 1 to 16. Default 4. */
  readonly concurrency?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}
