/**
 * A certificate authority for code signing with the interface of Fulcio.
 *
 * @module
 */

import { createPublicKey } from "node:crypto";
import { Hono } from "hono";
import { cors } from "hono/cors";
import { encodeHex } from "../../encoding/hex.ts";
import { encodePem } from "../../encoding/pem.ts";
import { encodeUtf8 } from "../../encoding/utf8.ts";
import { MAX_IDENTITY_REQUEST_BYTES, MAX_SANDBOX_RECORDS } from "../../limits.ts";
import { parseCertificate } from "../../x509/certificate.ts";
import { readFulcioExtensions } from "../../x509/fulcio.ts";
import type { SignedCertificateTimestamp } from "../../x509/sct.ts";
import type { CertificateLog } from "../ctlog/ct-log.ts";
import { encodeSctList, sctToJson } from "../ctlog/log-entry.ts";
import { newPrivateKey } from "../stored-key.ts";
import { readBody } from "../request-body.ts";
import type { SandboxService, ServiceContext } from "../service.ts";
import { ApiError, REFUSAL } from "./api-error.ts";
import {
  AuthorityHistory,
  authorityNames,
  LEAF_LIFETIME_MS,
  LeafIssuance,
  newAuthority,
  type Authority,
} from "./authority.ts";
import { readCertificateRequest } from "./certificate-request.ts";
import { UrlRefusal } from "./go-url.ts";
import { TokenRefusal, verifyIdentityToken, type CertifiedIssuer } from "./identity-token.ts";
import { principalOf, type CertifiedIdentity, type Principal } from "./principal.ts";
import { readLegacySigningRequest, readSigningRequest, type SigningRequest } from "./signing-request.ts";
import { checkProofOfPossession, readSubjectKey, type SubjectKey } from "./subject-key.ts";

/**
 * What Fulcio answers wrongly: a certificate for a key, or an identity, that was not asked for; with the SCT of another
 * certificate; by an authority that it made up; or one whose time is over.
 */
export const FULCIO_FORGERIES = ["other-key", "other-identity", "other-sct", "wrong-ca", "expired"] as const;

/** Says how Fulcio is set up. */
export interface FulcioOptions {
  /** Whose tokens it accepts. */
  readonly issuers: readonly CertifiedIssuer[];
  /** Where it logs what it issues. Without a log certificates have no SCT. */
  readonly ctLog?: CertificateLog | undefined;
  /** Whether an SCT stands in its certificate, which is the default, or beside it. */
  readonly sct?: "embedded" | "detached" | undefined;
  /** Is told why a request was refused: what the client learns, and the reason, in which no token stands. */
  readonly onRefused?: ((message: string, reason: string) => void) | undefined;
}

/** Is an authority as a trusted root lists it. */
export interface ListedAuthority {
  /** DER, the intermediate first, the root last. */
  readonly certificates: readonly Uint8Array[];
  readonly start: Date;
  /** Absent for the authority that issues now. */
  readonly end?: Date;
  readonly url: string;
  readonly operator: string;
}

/** Is a certificate that was issued, for people to look at. */
export interface IssuedCertificate {
  /** Lower-case hex. */
  readonly serialNumber: string;
  readonly subjectAlternativeName: string;
  /** The issuer of the token. */
  readonly issuer: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly pem: string;
}

/** Is the Fulcio of the sandbox. */
export interface Fulcio extends SandboxService {
  /** Every authority, the oldest first. */
  authorities(): readonly ListedAuthority[];
  /** Makes another root and intermediate, which issue from now on. */
  rotate(): Promise<void>;
  /** Lists what was issued, the newest first, as far back as is remembered. */
  recentCertificates(): readonly IssuedCertificate[];
}

interface Issued {
  /** DER, the leaf first. */
  readonly chain: readonly Uint8Array[];
  readonly embedded: boolean;
  readonly detachedSct: SignedCertificateTimestamp | undefined;
}

const OPERATOR = "sandbox";
const OTHER_EMAIL = "somebody.else@example.org";
const OTHER_URI = "https://example.org/somebody/else";

/**
 * Opens the Fulcio that the store holds, or begins one.
 *
 * @see {@link https://github.com/sigstore/fulcio/blob/main/fulcio.proto | Fulcio fulcio.proto}, {@link https://github.com/sigstore/fulcio/blob/main/docs/certificate-specification.md | docs/certificate-specification.md}
 */
export async function createFulcio(context: ServiceContext, options: FulcioOptions): Promise<Fulcio> {
  const { store } = context;
  const { issuers, ctLog, sct = "embedded" } = options;
  const history = await AuthorityHistory.open(store, context.now());
  const acceptRoots = (): void => {
    for (const { chain } of history.all) ctLog?.acceptRoot(chain[1]);
  };
  acceptRoots();
  const recent: Uint8Array[] = [];
  for (const record of store.records("certificates")) remember(record);
  let selfMade: Promise<Authority> | undefined;

  function remember(certificate: Uint8Array): void {
    recent.push(certificate);
    if (recent.length > 2 * MAX_SANDBOX_RECORDS) recent.splice(0, recent.length - MAX_SANDBOX_RECORDS);
  }

  async function authenticate(token: string): Promise<Principal> {
    try {
      const verified = await verifyIdentityToken(token, issuers, context.now());
      return principalOf(verified.token, verified.issuer);
    } catch (error) {
      if (!(error instanceof TokenRefusal)) throw error;
      throw new ApiError("InvalidArgument", REFUSAL.identityToken, error.message);
    }
  }

  async function issue(request: SigningRequest): Promise<Issued> {
    const principal = await authenticate(request.token);
    let subject: SubjectKey;
    if (request.key.kind === "certificate-request") {
      subject = readCertificateRequest(request.key.pem);
    } else {
      subject = readSubjectKey(request.key.content);
      checkProofOfPossession(subject, request.key.proof, principal.challenge);
    }
    const forgery = context.forgery();
    let identity = certify(principal);
    if (forgery === "other-identity") identity = somebodyElse(identity);
    let authority = history.current;
    if (forgery === "wrong-ca") {
      authority = await (selfMade ??= makeUpAuthority(history.all.length));
      ctLog?.acceptRoot(authority.chain[1]); // so that nothing else is wrong
    }
    const now = context.now();
    const leaf = {
      spki: forgery === "other-key" ? await newSpki() : subject.spki,
      identity,
      notBefore: forgery === "expired" ? new Date(now.getTime() - 2 * LEAF_LIFETIME_MS) : now,
    };
    const issued = await issueLeaf(authority, leaf, forgery === "other-sct");
    const [certificate] = issued.chain;
    if (certificate !== undefined) {
      store.append("certificates", certificate);
      remember(certificate);
    }
    return issued;
  }

  async function makeUpAuthority(generation: number): Promise<Authority> {
    return await newAuthority(context.now(), await newPrivateKey("p384"), authorityNames(generation));
  }

  async function issueLeaf(
    authority: Authority,
    leaf: ConstructorParameters<typeof LeafIssuance>[1],
    otherSct: boolean,
  ): Promise<Issued> {
    const issuance = new LeafIssuance(authority, leaf);
    if (ctLog === undefined || sct === "detached") {
      const certificate = issuance.certificate();
      const chain = [certificate, ...authority.chain];
      if (ctLog === undefined) return { chain, embedded: false, detachedSct: undefined };
      const logged = otherSct ? [new LeafIssuance(authority, leaf).certificate(), ...authority.chain] : chain;
      return { chain, embedded: false, detachedSct: await log(() => ctLog.addChain(logged)) };
    }
    const logged = otherSct ? new LeafIssuance(authority, leaf) : issuance;
    const timestamp = await log(() => ctLog.addPreChain([logged.precertificate(), ...authority.chain]));
    const certificate = issuance.certificate(encodeSctList([timestamp]));
    return { chain: [certificate, ...authority.chain], embedded: true, detachedSct: undefined };
  }

  async function answer(
    request: Request,
    read: typeof readSigningRequest,
    write: (issued: Issued) => Response,
  ): Promise<Response> {
    const body = await readBody(request, MAX_IDENTITY_REQUEST_BYTES);
    if (body === undefined) throw new ApiError("InvalidArgument", "http: request body too large");
    const bearer = (request.headers.get("authorization") ?? "").replace("Bearer ", "");
    return write(await issue(read(body, bearer)));
  }

  const app = new Hono().basePath(new URL(context.url).pathname);
  app.use(cors());
  app.post("/api/v2/signingCert", (c) => answer(c.req.raw, readSigningRequest, writeIssued));
  app.get("/api/v2/trustBundle", (c) =>
    c.json({ chains: newestFirst(history).map((chain) => ({ certificates: chain.map(pemOf) })) }),
  );
  app.get("/api/v2/configuration", (c) => c.json({ issuers: issuers.map(describeIssuer) }));
  app.post("/api/v1/signingCert", (c) => answer(c.req.raw, readLegacySigningRequest, writeLegacyIssued));
  app.get("/api/v1/rootCert", () => pemChain(newestFirst(history).flat().map(pemOf).join("\n").trimEnd(), 200));
  app.get("/healthz", (c) => c.json({ status: "SERVING" }));
  for (const path of [
    "/api/v2/signingCert",
    "/api/v2/trustBundle",
    "/api/v2/configuration",
    "/api/v1/signingCert",
    "/api/v1/rootCert",
    "/healthz",
  ])
    app.all(path, () => new ApiError("Unimplemented", "Method Not Allowed").toResponse());
  app.notFound(() => new ApiError("NotFound", "Not Found").toResponse());
  app.onError((error) => {
    const known = error instanceof ApiError ? error : new ApiError("Internal", REFUSAL.authority, error.message);
    options.onRefused?.(known.message, known.reason);
    return known.toResponse();
  });

  return {
    authorities: () =>
      history.all.map(({ chain, start, end }) => ({
        certificates: chain,
        start,
        ...(end !== undefined && { end }),
        url: context.url,
        operator: OPERATOR,
      })),
    async rotate() {
      await history.rotate(context.now());
      acceptRoots();
    },
    recentCertificates: () => recent.slice(-MAX_SANDBOX_RECORDS).toReversed().map(describeCertificate),
    fetch: (request) => app.fetch(request),
  };
}

/** @throws {@link ApiError} */
function certify(principal: Principal): CertifiedIdentity {
  let identity: CertifiedIdentity;
  try {
    identity = principal.certify();
  } catch (error) {
    if (!(error instanceof UrlRefusal)) throw error;
    throw new ApiError("InvalidArgument", error.message);
  }
  const { value } = identity.subjectAlternativeName;
  if (!/^[\x00-\x7f]*$/.test(value))
    throw new ApiError("InvalidArgument", `x509: ${JSON.stringify(value)} cannot be encoded as an IA5String`);
  return identity;
}

function somebodyElse(identity: CertifiedIdentity): CertifiedIdentity {
  const { kind } = identity.subjectAlternativeName;
  return { ...identity, subjectAlternativeName: { kind, value: kind === "email" ? OTHER_EMAIL : OTHER_URI } };
}

async function newSpki(): Promise<Uint8Array> {
  const publicKey = createPublicKey(await newPrivateKey("p256"));
  return new Uint8Array(publicKey.export({ type: "spki", format: "der" }));
}

/** @throws {@link ApiError} */
async function log(submit: () => Promise<SignedCertificateTimestamp>): Promise<SignedCertificateTimestamp> {
  try {
    return await submit();
  } catch (error) {
    throw new ApiError("Internal", REFUSAL.certificateLog, error instanceof Error ? error.message : "unknown");
  }
}

function writeIssued({ chain, embedded, detachedSct }: Issued): Response {
  const certificates = { certificates: chain.map((der) => pemOf(der).trimEnd()) };
  if (embedded) return Response.json({ signedCertificateEmbeddedSct: { chain: certificates } });
  const timestamp = detachedSct === undefined ? "" : Buffer.from(sctText(detachedSct)).toString("base64");
  return Response.json({
    signedCertificateDetachedSct: { chain: certificates, signedCertificateTimestamp: timestamp },
  });
}

function writeLegacyIssued({ chain, detachedSct }: Issued): Response {
  const response = pemChain(chain.map(pemOf).join("").trimEnd(), 201);
  if (detachedSct !== undefined) response.headers.set("SCT", Buffer.from(sctText(detachedSct)).toString("base64"));
  return response;
}

function sctText(sct: SignedCertificateTimestamp): Uint8Array {
  return encodeUtf8(JSON.stringify(sctToJson(sct)));
}

function pemChain(text: string, status: 200 | 201): Response {
  return new Response(text, { status, headers: { "content-type": "application/pem-certificate-chain" } });
}

function newestFirst(history: AuthorityHistory): readonly (readonly Uint8Array[])[] {
  return history.all.map(({ chain }) => chain).toReversed();
}

function pemOf(der: Uint8Array): string {
  return encodePem("CERTIFICATE", der);
}

/** Says what a client must know of an issuer: whom tokens are to be for, and what it has to sign. */
function describeIssuer(issuer: CertifiedIssuer): Record<string, unknown> {
  return {
    issuerUrl: issuer.url,
    audience: issuer.audience ?? "sigstore",
    challengeClaim: issuer.type === "email" ? "email" : "sub",
    spiffeTrustDomain: "",
    issuerType: issuer.type,
    subjectDomain: issuer.subjectDomain ?? "",
    skipEmailVerification: issuer.skipEmailVerification ?? false,
  };
}

function describeCertificate(der: Uint8Array): IssuedCertificate {
  const certificate = parseCertificate(der);
  return {
    serialNumber: encodeHex(certificate.serialNumber),
    subjectAlternativeName: certificate.extensions.subjectAlternativeNames[0]?.value ?? "",
    issuer: readFulcioExtensions(certificate).issuer ?? "",
    notBefore: certificate.notBefore,
    notAfter: certificate.notAfter,
    pem: pemOf(der),
  };
}
