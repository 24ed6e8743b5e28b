import { decodeString, parseDer, Tag } from "../asn1/der.ts";
import { tryDecodeUtf8 } from "../encoding/utf8.ts";
import { FormatError, SigstoreError } from "../errors.ts";
import type { Certificate } from "./certificate.ts";

/** What Fulcio wrote about the identity token. Claimed until the certificate's path is verified. */
export interface FulcioExtensions {
  /** The issuer of the identity token, of .8 or of the deprecated .1. */
  readonly issuer?: string;
  readonly githubWorkflowTrigger?: string;
  readonly githubWorkflowSHA?: string;
  readonly githubWorkflowName?: string;
  readonly githubWorkflowRepository?: string;
  readonly githubWorkflowRef?: string;
  readonly buildSignerURI?: string;
  readonly buildSignerDigest?: string;
  readonly runnerEnvironment?: string;
  readonly sourceRepositoryURI?: string;
  readonly sourceRepositoryDigest?: string;
  readonly sourceRepositoryRef?: string;
  readonly sourceRepositoryIdentifier?: string;
  readonly sourceRepositoryOwnerURI?: string;
  readonly sourceRepositoryOwnerIdentifier?: string;
  readonly buildConfigURI?: string;
  readonly buildConfigDigest?: string;
  readonly buildTrigger?: string;
  readonly runInvocationURI?: string;
  readonly sourceRepositoryVisibilityAtSigning?: string;
  readonly deploymentEnvironment?: string;
  readonly tokenSubject?: string;
}

/** One extension of the directory. */
export interface FulcioExtension {
  readonly oid: string;
  readonly field: keyof FulcioExtensions;
  /** `true`: a DER UTF8String; `false`: the text itself. */
  readonly der: boolean;
  /** The name in the directory. */
  readonly title: string;
}

function directoryEntry(number: number, field: keyof FulcioExtensions, title: string): FulcioExtension {
  return { oid: `1.3.6.1.4.1.57264.1.${number}`, field, der: number >= 8, title };
}

/**
 * Lists the extensions that Fulcio writes, in the order of its directory. Number 7 is a form of subject alternative name.
 *
 * @see {@link https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md | Fulcio docs/oid-info.md}, "Extension values"
 */
export const FULCIO_EXTENSIONS: readonly FulcioExtension[] = [
  directoryEntry(1, "issuer", "Issuer"),
  directoryEntry(2, "githubWorkflowTrigger", "GitHub Workflow Trigger"),
  directoryEntry(3, "githubWorkflowSHA", "GitHub Workflow SHA"),
  directoryEntry(4, "githubWorkflowName", "GitHub Workflow Name"),
  directoryEntry(5, "githubWorkflowRepository", "GitHub Workflow Repository"),
  directoryEntry(6, "githubWorkflowRef", "GitHub Workflow Ref"),
  directoryEntry(8, "issuer", "Issuer (V2)"),
  directoryEntry(9, "buildSignerURI", "Build Signer URI"),
  directoryEntry(10, "buildSignerDigest", "Build Signer Digest"),
  directoryEntry(11, "runnerEnvironment", "Runner Environment"),
  directoryEntry(12, "sourceRepositoryURI", "Source Repository URI"),
  directoryEntry(13, "sourceRepositoryDigest", "Source Repository Digest"),
  directoryEntry(14, "sourceRepositoryRef", "Source Repository Ref"),
  directoryEntry(15, "sourceRepositoryIdentifier", "Source Repository Identifier"),
  directoryEntry(16, "sourceRepositoryOwnerURI", "Source Repository Owner URI"),
  directoryEntry(17, "sourceRepositoryOwnerIdentifier", "Source Repository Owner Identifier"),
  directoryEntry(18, "buildConfigURI", "Build Config URI"),
  directoryEntry(19, "buildConfigDigest", "Build Config Digest"),
  directoryEntry(20, "buildTrigger", "Build Trigger"),
  directoryEntry(21, "runInvocationURI", "Run Invocation URI"),
  directoryEntry(22, "sourceRepositoryVisibilityAtSigning", "Source Repository Visibility At Signing"),
  directoryEntry(23, "deploymentEnvironment", "Deployment Environment"),
  directoryEntry(24, "tokenSubject", "Token Subject"),
];

/**
 * Reads every Fulcio extension of a certificate, decoded.
 *
 * @throws {@link FormatError} `CERTIFICATE_MALFORMED` when a value is not the text it must be, or the two issuer extensions disagree.
 * @see {@link https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md | Fulcio docs/oid-info.md}, "Extension values"
 */
export function readFulcioExtensions(certificate: Certificate): FulcioExtensions {
  const fields: { -readonly [Field in keyof FulcioExtensions]: FulcioExtensions[Field] } = {};
  for (const { oid, field, der, title } of FULCIO_EXTENSIONS) {
    const extension = certificate.extensions.all.get(oid);
    if (extension === undefined) continue;
    const text = der ? tryReadUtf8String(extension.value) : tryDecodeUtf8(extension.value);
    if (text === undefined) {
      throw new FormatError(
        "CERTIFICATE_MALFORMED",
        `certificate has an extension ${oid} (${title}) that is not ${der ? "a DER UTF8String" : "UTF-8 text"}`,
      );
    }
    const other = fields[field]; // only the issuer stands in two extensions
    if (other !== undefined && other !== text) {
      throw new FormatError("CERTIFICATE_MALFORMED", "certificate names two different token issuers", {
        expected: other,
        found: text,
      });
    }
    fields[field] = text;
  }
  return fields;
}

function tryReadUtf8String(value: Uint8Array): string | undefined {
  try {
    return decodeString(parseDer(value, Tag.utf8String));
  } catch (error) {
    if (!(error instanceof SigstoreError)) throw error;
    return undefined;
  }
}
