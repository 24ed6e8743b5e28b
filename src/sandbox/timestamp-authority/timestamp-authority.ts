/**
 * A timestamp authority (RFC 3161), as Sigstore runs it.
 *
 * @module
 */

import { hash } from "node:crypto";
import { Hono, type Context } from "hono";
import type { Digest } from "../../crypto/digest.ts";
import { encodePem, parsePem } from "../../encoding/pem.ts";
import { MAX_SANDBOX_RECORDS, MAX_TIMESTAMP_REQUEST_BYTES } from "../../limits.ts";
import { readBody } from "../request-body.ts";
import type { SandboxService, ServiceContext } from "../service.ts";
import { newSigningKey, storedSigningKey, type SigningKey } from "../signing-key.ts";
import { issueTimestampChain, randomSerialNumber } from "./chain.ts";
import {
  parseJsonTimestampRequest,
  parseTimestampRequest,
  TimestampRefusal,
  type TimestampRequest,
} from "./timestamp-request.ts";
import { encodeTimestampRejection, encodeTimestampResponse } from "./timestamp-token.ts";

/**
 * What the authority answers wrongly: `wrong-key` signs with a key that is not the certificate's, `other-signature` stamps something
 * else, `wrong-nonce` answers another request, `rejection` is an answer without a timestamp.
 */
export const TIMESTAMP_AUTHORITY_FORGERIES = ["wrong-key", "other-signature", "wrong-nonce", "rejection"] as const;

/** Says what a trusted root says of an authority's key. */
export interface TimestampAuthorityListing {
  readonly uri: string;
  /** DER: leaf, intermediate, root. */
  readonly certificates: readonly Uint8Array[];
  readonly start: Date;
  /** Absent while it signs. */
  readonly end?: Date;
}

/** Is a timestamp that was given. */
export interface GivenTimestamp {
  readonly serialNumber: bigint;
  readonly time: Date;
  readonly imprint: Digest;
}

/** Is a timestamp authority of the sandbox. */
export interface TimestampAuthority extends SandboxService {
  /** Tells what to trust: each key it ever had, the present one last. */
  listings(): readonly TimestampAuthorityListing[];
  /** Signs with another key, under another root, from now on. */
  rotate(): Promise<void>;
  /** Lists what was given since the authority was opened, the latest first. */
  readonly recentTimestamps: readonly GivenTimestamp[];
}

interface Generation {
  readonly key: SigningKey;
  readonly certificates: readonly Uint8Array[];
  readonly start: Date;
  readonly end?: Date;
}

const GENERATIONS_FILE = "generations.json";
const REPLY = "application/timestamp-reply";

/**
 * Opens the authority that the store holds, or makes one.
 *
 * @see RFC 3161; sigstore/timestamp-authority
 */
export async function createTimestampAuthority(context: ServiceContext): Promise<TimestampAuthority> {
  const generations = await readGenerations(context);
  if (generations.length === 0) generations.push(await makeGeneration(context, 0));
  writeGenerations(context, generations);
  const recentTimestamps: GivenTimestamp[] = [];
  let foreign: Promise<SigningKey> | undefined;

  async function stamp({ imprint, nonce, certReq }: TimestampRequest): Promise<Uint8Array> {
    const forgery = context.forgery();
    if (forgery === "rejection") return encodeTimestampRejection();
    const { key, certificates } = generations.at(-1) as Generation;
    const given = { serialNumber: randomSerialNumber(), time: context.now(), imprint };
    recentTimestamps.unshift(given);
    if (recentTimestamps.length > MAX_SANDBOX_RECORDS) recentTimestamps.pop();
    const content = {
      ...given,
      ...(forgery === "other-signature" && {
        imprint: { ...imprint, value: new Uint8Array(hash(imprint.algorithm, "another signature", "buffer")) },
      }),
      ...(forgery === "wrong-nonce" ? { nonce: (nonce ?? 0n) + 1n } : nonce !== undefined && { nonce }),
    };
    const signer = forgery === "wrong-key" ? await (foreign ??= newSigningKey("p256")) : key;
    return encodeTimestampResponse(content, { key: signer, certificate: certificates[0] as Uint8Array }, certReq);
  }

  const app = new Hono().basePath(new URL(context.url).pathname);

  app.post("/api/v1/timestamp", async (c) => {
    const type = c.req.header("content-type") ?? "";
    if (!/^application\/(?:json|timestamp-query)(?:;|$)/i.test(type)) {
      return c.json(
        {
          code: 415,
          message: `unsupported media type ${JSON.stringify(type)}, only [application/json application/timestamp-query] are allowed`,
        },
        415,
      );
    }
    const body = await readBody(c.req.raw, MAX_TIMESTAMP_REQUEST_BYTES);
    if (body?.length === 0) return c.json({ code: 602, message: "request in body is required" }, 422);
    try {
      if (body === undefined) throw new TimestampRefusal("Error generating timestamp response");
      const request = /json/i.test(type)
        ? parseJsonTimestampRequest(new TextDecoder().decode(body))
        : parseTimestampRequest(body);
      return c.body(new Uint8Array(await stamp(request)), 200, { "content-type": REPLY });
    } catch (error) {
      if (error instanceof TimestampRefusal) return refuse(c, error.message);
      throw error;
    }
  });

  app.get("/api/v1/timestamp/certchain", (c) => {
    const { certificates } = generations.at(-1) as Generation;
    const pem = certificates.map((der) => encodePem("CERTIFICATE", der)).join("");
    return c.body(pem, 200, { "content-type": "application/pem-certificate-chain" });
  });

  app.get("/ping", (c) => c.text("."));
  for (const [path, method] of [
    ["/api/v1/timestamp", "POST"],
    ["/api/v1/timestamp/certchain", "GET"],
  ] as const) {
    app.all(path, (c) => {
      const message = `method ${c.req.method} is not allowed, but [${method}] are`;
      return c.json({ code: 405, message }, 405, { Allow: method });
    });
  }
  app.notFound((c) => c.json({ code: 404, message: `path ${new URL(c.req.url).pathname} was not found` }, 404));

  return {
    fetch: (request) => app.fetch(request),
    listings: () =>
      generations.map(({ certificates, start, end }) => ({
        uri: `${context.url}/api/v1/timestamp`,
        certificates,
        start,
        ...(end !== undefined && { end }),
      })),
    async rotate() {
      const next = await makeGeneration(context, generations.length);
      const { key, certificates, start } = generations.pop() as Generation;
      generations.push({ key, certificates, start, end: next.start }, next);
      writeGenerations(context, generations);
    },
    recentTimestamps,
  };
}

/** The real service declares its errors, which are JSON, as timestamps. */
function refuse(c: Context, message: string): Response {
  return c.body(`${JSON.stringify({ code: 400, message })}\n`, 400, { "content-type": REPLY });
}

async function makeGeneration({ store, now }: ServiceContext, number: number): Promise<Generation> {
  const key = await storedSigningKey(store, `key-${number}.pem`, "p256");
  const start = now();
  const { certificates } = await issueTimestampChain(key.publicKey, start);
  const pem = certificates.map((der) => encodePem("CERTIFICATE", der)).join("");
  store.write(`chain-${number}.pem`, new TextEncoder().encode(pem));
  return { key, certificates, start };
}

async function readGenerations({ store }: ServiceContext): Promise<Generation[]> {
  const text = (name: string): string => new TextDecoder().decode(store.read(name));
  const kept = store.read(GENERATIONS_FILE);
  const periods = kept === undefined ? [] : (JSON.parse(text(GENERATIONS_FILE)) as { start: string; end?: string }[]);
  return await Promise.all(
    periods.map(async ({ start, end }, number) => ({
      key: await storedSigningKey(store, `key-${number}.pem`, "p256"),
      certificates: parsePem(text(`chain-${number}.pem`)).map(({ bytes }) => bytes),
      start: new Date(start),
      ...(end !== undefined && { end: new Date(end) }),
    })),
  );
}

function writeGenerations({ store }: ServiceContext, generations: readonly Generation[]): void {
  const periods = generations.map(({ start, end }) => ({ start, end }));
  store.write(GENERATIONS_FILE, new TextEncoder().encode(JSON.stringify(periods)));
}
