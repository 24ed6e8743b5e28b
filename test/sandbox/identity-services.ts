import { createPublicKey, generateKeyPairSync, sign, X509Certificate, type KeyObject } from "node:crypto";
import { createCtLog, type CtLog } from "../../src/sandbox/ctlog/ct-log.ts";
import { createFulcio, type Fulcio, type FulcioOptions } from "../../src/sandbox/fulcio/fulcio.ts";
import { createOidcIssuer, type OidcIssuer } from "../../src/sandbox/oidc/issuer.ts";
import { createMemoryStore, type SandboxStore } from "../../src/sandbox/store.ts";
import { testContext, type TestContext } from "./service-context.ts";

export const URLS = {
  oidc: "http://127.0.0.1:4400",
  fulcio: "http://127.0.0.1:4401",
  ctlog: "http://127.0.0.1:4404/ctfe",
} as const;

/** The identity half of the sandbox, in which a test sets clocks and forgeries. */
export interface IdentityServices {
  readonly oidc: OidcIssuer;
  readonly ctLog: CtLog;
  readonly fulcio: Fulcio;
  readonly contexts: Readonly<Record<keyof typeof URLS, TestContext>>;
  /** Why requests were refused, in the order in which they were. */
  readonly refusals: string[];
}

export async function openIdentityServices(
  options: Partial<FulcioOptions> = {},
  store: SandboxStore = createMemoryStore(),
): Promise<IdentityServices> {
  const contexts = {
    oidc: testContext(URLS.oidc, store.under("oidc")),
    fulcio: testContext(URLS.fulcio, store.under("fulcio")),
    ctlog: testContext(URLS.ctlog, store.under("ctlog")),
  };
  const refusals: string[] = [];
  const oidc = await createOidcIssuer(contexts.oidc, { algorithms: ["ES256"] }); // RSA keys take long to make
  const ctLog = await createCtLog(contexts.ctlog);
  const fulcio = await createFulcio(contexts.fulcio, {
    issuers: oidc.issuers,
    ctLog,
    onRefused: (_message, reason) => void refusals.push(reason),
    ...options,
  });
  return { oidc, ctLog, fulcio, contexts, refusals };
}

/** A key of a client, and the proof that it has it. */
export interface ClientKey {
  readonly pem: string;
  readonly privateKey: KeyObject;
  prove(challenge: string): string;
}

export function clientKey(
  privateKey: KeyObject = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey,
): ClientKey {
  const curve = privateKey.asymmetricKeyDetails?.namedCurve ?? "";
  const hash =
    privateKey.asymmetricKeyType === "ed25519"
      ? null
      : ({ secp384r1: "sha384", secp521r1: "sha512" }[curve] ?? "sha256");
  return {
    pem: createPublicKey(privateKey).export({ type: "spki", format: "pem" }),
    privateKey,
    prove: (challenge) => sign(hash, Buffer.from(challenge), privateKey).toString("base64"),
  };
}

export const CHALLENGES = {
  email: "dev@example.com",
  github: "repo:acme/app:ref:refs/heads/main",
  gitlab: "project_path:acme/app:ref_type:branch:ref:main",
} as const;

export async function post(
  service: { fetch(request: Request): Response | Promise<Response> },
  url: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return await service.fetch(
    new Request(url, { method: "POST", headers, body: typeof body === "string" ? body : JSON.stringify(body) }),
  );
}

export async function get(
  service: { fetch(request: Request): Response | Promise<Response> },
  url: string,
): Promise<Response> {
  return await service.fetch(new Request(url));
}

/** Asks for a certificate, with nothing wrong in the request but what is replaced. */
export async function requestCertificate(
  services: IdentityServices,
  replaced: { kind?: keyof typeof CHALLENGES; token?: string; key?: ClientKey; content?: string; proof?: string } = {},
): Promise<Response> {
  const { kind = "email", key = clientKey() } = replaced;
  return await post(services.fulcio, `${URLS.fulcio}/api/v2/signingCert`, {
    credentials: { oidcIdentityToken: replaced.token ?? (await services.oidc.mintToken(kind)) },
    publicKeyRequest: {
      publicKey: { algorithm: "ECDSA", content: replaced.content ?? key.pem },
      proofOfPossession: replaced.proof ?? key.prove(CHALLENGES[kind]),
    },
  });
}

/** Reads the certificates of an answer, the leaf first. */
export async function chainOf(
  response: Response,
): Promise<readonly [X509Certificate, X509Certificate, X509Certificate]> {
  const body = (await response.json()) as Record<string, { chain: { certificates: string[] } }>;
  const answer = body["signedCertificateEmbeddedSct"] ?? body["signedCertificateDetachedSct"];
  const [leaf, intermediate, root, ...more] = (answer?.chain.certificates ?? []).map((pem) => new X509Certificate(pem));
  if (leaf === undefined || intermediate === undefined || root === undefined || more.length > 0)
    throw new Error(`no chain of three: ${JSON.stringify(body)}`);
  return [leaf, intermediate, root];
}
