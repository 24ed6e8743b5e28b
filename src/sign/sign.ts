/**
 * One signature, from start to finish.
 *
 * @module
 */

import type { AttestableStatement, SignableArtifact, SignatureOptions, SignedBundle, SignOptions } from "./options.ts";
import { SigningSession } from "./session.ts";

/**
 * Signs one artifact, with a certificate for an identity or with a key. For many artifacts, a {@link SigningSession} asks for one
 * token and one certificate.
 *
 * @returns a bundle that the verifier has accepted.
 * @throws as `SigningSession.open` and `SigningSession.sign`.
 * @see Sigstore client specification §2
 */
export async function sign(artifact: SignableArtifact, options: SignOptions): Promise<SignedBundle> {
  return await inSession(options, (session, delivery) => session.sign(artifact, delivery));
}

/**
 * Signs one statement about artifacts, as {@link sign} signs an artifact.
 *
 * @throws as {@link sign}; {@link FormatError} `STATEMENT_MALFORMED`.
 * @see {@link https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md | in-toto attestation framework, statement}
 */
export async function attest(statement: AttestableStatement, options: SignOptions): Promise<SignedBundle> {
  return await inSession(options, (session, delivery) => session.attest(statement, delivery));
}

async function inSession(
  options: SignOptions,
  work: (session: SigningSession, delivery: SignatureOptions) => Promise<SignedBundle>,
): Promise<SignedBundle> {
  const { state, deliver, ...sessionOptions } = options;
  const session = await SigningSession.open(sessionOptions);
  try {
    return await work(session, { state, deliver });
  } finally {
    session.close();
  }
}
