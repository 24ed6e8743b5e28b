/**
 * The services that a signer talks to, behind one `fetch` and over the sandbox's authorities: they really sign, and each can be
 * asked to answer something else.
 *
 * @module
 */

import { createPublicKey, verify, X509Certificate } from "node:crypto";

import { decodeOctetString, decodeUnsignedBytes, DerReader, parseDer, Tag } from "../../src/asn1/der.ts";
import { serializeTransparencyLogEntry } from "../../src/bundle/transparency-log-entry-json.ts";
import type { Fetch } from "../../src/http/request.ts";
import type { SignerChoice, SigningOptions } from "../../src/sign/options.ts";
import type { SigningEvent } from "../../src/sign/events.ts";
import { parseTrustedRoot } from "../../src/trust/trusted-root.ts";
import type { TransparencyLogEntry } from "../../src/tlog/transparency-log-entry.ts";
import { email, generalizedTime, int, nul, octets, seq, uri, type Keys } from "./certificates.ts";
import { json } from "./http.ts";
import { base64, sha256, unbase64, utf8 } from "./logs.ts";
import { ALICE, ISSUER, issueCertificate, minutes, NOW, type CertificateRequest } from "./sandbox/authorities.ts";
import { makeEntry, type EntryOptions, type Rekor } from "./sandbox/rekor.ts";
import { makeSandbox, rootText, type Sandbox } from "./sandbox/sandbox.ts";
import { makeTimestamp, TIMESTAMP_OIDS, algorithm, type TimestampOptions } from "./timestamps.ts";

export const FULCIO = "https://fulcio.test";
export const REKOR1 = "https://rekor1.test";
export const REKOR2 = "https://rekor2.test";
export const TSA = "https://tsa.test/api/v1/timestamp";

/** Makes a token of the issuer; nobody here checks its signature. */
export function identityToken(claims: Readonly<Record<string, unknown>> = {}): string {
  const seconds = (time: Date): number => Math.floor(time.getTime() / 1000);
  const payload = {
    iss: ISSUER,
    sub: "1234",
    aud: "sigstore",
    email: ALICE,
    email_verified: true,
    iat: seconds(NOW),
    exp: seconds(minutes(5)),
    ...claims,
  };
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "RS256", typ: "JWT" })}.${part(payload)}.${Buffer.from(SECRET).toString("base64url")}`;
}

/** Stands in every token, so that a test can look for it where it must not be. */
export const SECRET = "signature of the token";

/** What a test has the services answer differently. */
export interface Forgeries {
  /** Of the certificate; `spki` is the key that was sent. */
  certificate?: (spki: Uint8Array) => CertificateRequest;
  /** Instead of the certificate that was issued. */
  leaf?: (der: Uint8Array) => Uint8Array;
  timestamp?: (options: TimestampOptions) => TimestampOptions;
  entry?: EntryOptions;
  /** Instead of the entry that was made. */
  logged?: (entry: TransparencyLogEntry) => TransparencyLogEntry;
  /** Before anything else: an answer to this request, or nothing. */
  answer?: (request: Recorded) => Response | undefined | Promise<Response | undefined>;
}

export interface Recorded {
  readonly method: string;
  readonly url: URL;
  readonly body: Uint8Array;
}

export interface SigningServices {
  readonly sandbox: Sandbox;
  readonly fetch: Fetch;
  readonly requests: Recorded[];
  readonly forgeries: Forgeries;
  /** What happened, as the observer was told. */
  readonly events: SigningEvent[];
  /** Entries by log. */
  readonly entries: ReadonlyMap<string, readonly TransparencyLogEntry[]>;
  /** The clock of everybody. */
  now: Date;
  /** Paths that were asked for, as `METHOD host/path`. */
  asked(): readonly string[];
  /** Options of a signature by Alice, to change one of. */
  options(changes?: Partial<SigningOptions>): SigningOptions;
  readonly rootText: string;
}

export const KEYLESS: SignerChoice & { readonly kind: "keyless" } = { kind: "keyless", identityToken: identityToken() };

export function makeSigningServices(sandbox: Sandbox = makeSandbox()): SigningServices {
  const requests: Recorded[] = [];
  const forgeries: Forgeries = {};
  const entries = new Map<string, TransparencyLogEntry[]>();
  const events: SigningEvent[] = [];
  const text = rootText(sandbox);
  const state = { now: NOW };
  const digitsOf = (time: Date): string => `${time.toISOString().slice(0, 19).replaceAll(/[-:T]/g, "")}Z`;

  const issue = (body: string): Response => {
    const { credentials, publicKeyRequest } = JSON.parse(body) as {
      credentials: { oidcIdentityToken: string };
      publicKeyRequest: { publicKey: { content: string }; proofOfPossession: string };
    };
    const publicKey = createPublicKey(publicKeyRequest.publicKey.content);
    const claims = JSON.parse(
      Buffer.from(credentials.oidcIdentityToken.split(".")[1] ?? "", "base64url").toString(),
    ) as { email?: string; sub: string; iss: string };
    const challenge = utf8(claims.email ?? claims.sub);
    const hash =
      publicKey.asymmetricKeyType === "ec" && publicKey.asymmetricKeyDetails?.namedCurve === "secp384r1"
        ? "sha384"
        : "sha256";
    const proof = unbase64(publicKeyRequest.proofOfPossession);
    if (!verify(publicKey.asymmetricKeyType === "ed25519" ? null : hash, challenge, publicKey, proof))
      return json({ code: 3, message: "The signature supplied in the request could not be verified" }, 400);
    const spki = new Uint8Array(publicKey.export({ type: "spki", format: "der" }));
    const keys = { publicKey, privateKey: sandbox.ca.root.keys.privateKey } as Keys;
    const issued = issueCertificate(
      sandbox.ca,
      {
        keys,
        names: [claims.email === undefined ? uri(claims.sub) : email(claims.email)],
        issuer: claims.iss,
        notBefore: state.now,
        notAfter: new Date(state.now.getTime() + 10 * 60_000),
        sctTime: state.now,
        ...forgeries.certificate?.(spki),
      },
      sandbox.ctLog,
    );
    const der = forgeries.leaf?.(issued.der) ?? issued.der;
    const certificates = [der, sandbox.ca.intermediate.der, sandbox.ca.root.der].map((one) =>
      new X509Certificate(one).toString(),
    );
    return json({ signedCertificateEmbeddedSct: { chain: { certificates } } });
  };

  const timestamp = (body: Uint8Array): Response => {
    // TimeStampReq ::= SEQUENCE { version, messageImprint SEQUENCE { algorithm, OCTET STRING }, nonce INTEGER, certReq }
    const request = new DerReader(parseDer(body, Tag.sequence).content);
    request.next(Tag.integer);
    const imprint = new DerReader(request.next(Tag.sequence).content);
    imprint.next(Tag.sequence);
    const digest = decodeOctetString(imprint.next(Tag.octetString));
    const nonce = decodeUnsignedBytes(request.next(Tag.integer));
    const usual: TimestampOptions = {
      tsa: sandbox.tsa.tsa,
      data: new Uint8Array(),
      imprint: seq(algorithm(TIMESTAMP_OIDS.sha256, nul()), octets(digest)),
      nonce: int(...((nonce[0] ?? 0) >= 0x80 ? [0, ...nonce] : nonce)),
      genTime: generalizedTime(digitsOf(state.now)),
    };
    const response = makeTimestamp(forgeries.timestamp?.(usual) ?? usual);
    return new Response(Buffer.from(response), { status: 201 });
  };

  const log = (rekor: Rekor, kind: "hashedrekord" | "dsse", spec: Record<string, unknown>): TransparencyLogEntry => {
    const plain = { apiVersion: rekor.generation === 1 ? "0.0.1" : "0.0.2", kind, spec };
    const signed = {
      signature: new Uint8Array(),
      verifier: { certificate: sandbox.ca.root.der },
      message: new Uint8Array(),
      hash: "sha256",
      keyDetails: "",
    } as const;
    const list = entries.get(rekor.baseUrl) ?? [];
    const made = makeEntry(signed, {
      log: rekor,
      kind,
      integratedTime: state.now,
      before: 3 + list.length,
      body: () => plain,
      ...forgeries.entry,
    });
    entries.set(rekor.baseUrl, [...list, made]);
    return forgeries.logged?.(made) ?? made;
  };

  const idOf = (entry: TransparencyLogEntry): string =>
    `108e9186e8c5677a${Buffer.from(sha256(Uint8Array.of(0), entry.canonicalizedBody)).toString("hex")}`;
  const entryV1 = (entry: TransparencyLogEntry, status: number): Response => {
    const { inclusionProof: proof } = entry;
    const hex = (data: Uint8Array): string => Buffer.from(data).toString("hex");
    return json(
      {
        [idOf(entry)]: {
          body: base64(entry.canonicalizedBody),
          integratedTime: Number(entry.integratedTime),
          logID: hex(entry.logId),
          logIndex: Number(entry.logIndex),
          verification: {
            ...(entry.inclusionPromise && { signedEntryTimestamp: base64(entry.inclusionPromise) }),
            ...(proof && {
              inclusionProof: {
                logIndex: Number(proof.logIndex),
                rootHash: hex(proof.rootHash),
                treeSize: Number(proof.treeSize),
                hashes: proof.hashes.map(hex),
                checkpoint: proof.checkpoint,
              },
            }),
          },
        },
      },
      status,
    );
  };

  const specV1 = (proposed: { kind: string; spec: Record<string, unknown> }): Record<string, unknown> => {
    if (proposed.kind === "hashedrekord") return proposed.spec;
    const { envelope, verifiers } = proposed.spec["proposedContent"] as { envelope: string; verifiers: string[] };
    const { payload, signatures } = JSON.parse(envelope) as { payload: string; signatures: { sig: string }[] };
    const hash = (data: Uint8Array): unknown => ({
      algorithm: "sha256",
      value: Buffer.from(sha256(data)).toString("hex"),
    });
    return {
      envelopeHash: hash(utf8(envelope)),
      payloadHash: hash(unbase64(payload)),
      signatures: signatures.map(({ sig }, index) => ({ signature: sig, verifier: verifiers[index] })),
    };
  };

  const postV1 = (body: string): Response => {
    const proposed = JSON.parse(body) as { kind: "hashedrekord" | "dsse"; spec: Record<string, unknown> };
    const spec = specV1(proposed);
    // An equivalent entry has the same leaf.
    const same = entries
      .get(REKOR1)
      ?.find((entry) => Buffer.from(entry.canonicalizedBody).includes(JSON.stringify(signatureIn(spec))));
    if (same !== undefined) {
      const headers = { location: `/api/v1/log/entries/${idOf(same)}` };
      return json({ code: 409, message: "an equivalent entry already exists in the transparency log" }, 409, headers);
    }
    return entryV1(log(sandbox.rekor1, proposed.kind, spec), 201);
  };

  const postV2 = (body: string): Response => {
    const { hashedRekordRequestV002: request } = JSON.parse(body) as {
      hashedRekordRequestV002: { digest: string; signature: { verifier: { keyDetails: string } } };
    };
    const size = { 32: "SHA2_256", 48: "SHA2_384", 64: "SHA2_512" }[unbase64(request.digest).length] ?? "";
    const spec = {
      hashedRekordV002: { data: { algorithm: size, digest: request.digest }, signature: request.signature },
    };
    return json(serializeTransparencyLogEntry(log(sandbox.rekor2, "hashedrekord", spec)), 201);
  };

  const route = ({ method, url, body }: Recorded): Response => {
    const content = new TextDecoder().decode(body);
    switch (`${method} ${url.host}${url.pathname}`) {
      case "POST fulcio.test/api/v2/signingCert":
        return issue(content);
      case "GET fulcio.test/api/v2/configuration":
        return json(
          { issuers: [{ issuerUrl: ISSUER, audience: "sigstore", challengeClaim: "email", issuerType: "email" }] },
          200,
          { date: state.now.toUTCString() },
        );
      case "POST tsa.test/api/v1/timestamp":
        return timestamp(body);
      case "POST rekor1.test/api/v1/log/entries":
        return postV1(content);
      case "GET rekor1.test/api/v1/log":
      case "GET rekor2.test/api/v2/checkpoint":
        return json({});
      case "POST rekor2.test/api/v2/log/entries":
        return postV2(content);
    }
    const id = /^\/api\/v1\/log\/entries\/([0-9a-f]{80})$/.exec(url.pathname)?.[1];
    const found = entries.get(REKOR1)?.find((entry) => idOf(entry) === id);
    return found === undefined ? new Response("", { status: 404 }) : entryV1(forgeries.logged?.(found) ?? found, 200);
  };

  const services: SigningServices = {
    sandbox,
    requests,
    forgeries,
    events,
    entries,
    rootText: text,
    get now() {
      return state.now;
    },
    set now(time) {
      state.now = time;
    },
    fetch: async (address, init) => {
      init.signal?.throwIfAborted();
      const body = new Uint8Array(await new Response(init.body ?? "").arrayBuffer());
      const request = { method: init.method ?? "GET", url: new URL(address), body };
      requests.push(request);
      const answer = async (): Promise<Response> => (await forgeries.answer?.(request)) ?? route(request);
      return await untilAborted(answer(), init.signal ?? undefined);
    },
    asked: () => requests.map(({ method, url }) => `${method} ${url.host}${url.pathname}`),
    options: (changes = {}) => ({
      signer: KEYLESS,
      services: {
        kind: "urls",
        fulcioUrl: FULCIO,
        rekor: [{ url: REKOR1, majorApiVersion: 1 }],
        timestampUrls: [TSA],
      },
      trust: parseTrustedRoot(text),
      fetch: services.fetch,
      sleep: () => Promise.resolve(),
      now: () => state.now,
      random: () => 0,
      observer: (event) => void events.push(event),
      ...changes,
    }),
  };
  return services;
}

/** Ends with the signal, as the real `fetch` does. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await work;
  const aborted = Promise.withResolvers<never>();
  const stop = (): void => aborted.reject(signal.reason as Error);
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Finds what the log tells entries apart by. */
function signatureIn(spec: Record<string, unknown>): unknown {
  const { signature, signatures } = spec as { signature?: { content: string }; signatures?: { signature: string }[] };
  return signature?.content ?? signatures?.[0]?.signature;
}
