import { createPublicKey, X509Certificate, type KeyObject } from "node:crypto";
import { email } from "../support/certificates.ts";
import { issueCertificate, makeCa, makeCtLog } from "../support/sandbox/authorities.ts";

const AUTHORITY = makeCa();

/** A certificate in PEM that names an e-mail address for a key. */
export function certificateFor({ privateKey }: { readonly privateKey: KeyObject }, address: string): string {
  const keys = { privateKey, publicKey: createPublicKey(privateKey) };
  const { der } = issueCertificate(AUTHORITY, { keys, names: [email(address)] }, makeCtLog());
  return new X509Certificate(der).toString();
}

/** The authorities over {@link certificateFor}, in PEM, the root last. */
export const ISSUERS: readonly string[] = [AUTHORITY.intermediate, AUTHORITY.root].map(({ der }) =>
  new X509Certificate(der).toString(),
);
