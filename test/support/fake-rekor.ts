/**
 * A Rekor v1 that knows the entries of real bundles, with the promises and proofs that the real log gave.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { Fetch } from "../../src/http/request.ts";
import type { Json } from "./json-edits.ts";
import { realBundle } from "./real.ts";

interface Answer {
  readonly id: string;
  readonly logIndex: number;
  readonly body: Json;
  readonly json: Json;
}

const hex = (base64: unknown): string => Buffer.from(base64 as string, "base64").toString("hex");

function answerOf(bundle: Json): Answer {
  const [entry] = (bundle["verificationMaterial"] as Json)["tlogEntries"] as readonly [Json];
  const body = Buffer.from(entry["canonicalizedBody"] as string, "base64");
  const leaf = createHash("sha256").update(Uint8Array.of(0)).update(body).digest("hex");
  const proof = entry["inclusionProof"] as Json;
  return {
    id: `${"0".repeat(15)}1${leaf}`,
    logIndex: Number(entry["logIndex"] ?? 0),
    body: JSON.parse(body.toString()) as Json,
    json: {
      body: entry["canonicalizedBody"],
      integratedTime: Number(entry["integratedTime"]),
      logID: hex((entry["logId"] as Json)["keyId"]),
      logIndex: Number(entry["logIndex"] ?? 0),
      verification: {
        signedEntryTimestamp: (entry["inclusionPromise"] as Json)["signedEntryTimestamp"],
        inclusionProof: {
          logIndex: Number(proof["logIndex"] ?? 0),
          rootHash: hex(proof["rootHash"]),
          treeSize: Number(proof["treeSize"]),
          hashes: ((proof["hashes"] ?? []) as string[]).map(hex),
          checkpoint: (proof["checkpoint"] as Json)["envelope"],
        },
      },
    },
  };
}

/** A log, and the requests that it was asked. */
export interface FakeRekor {
  readonly fetch: Fetch;
  readonly requests: string[];
}

/** Answers for the entries of the real bundles of these names; `edit` changes what is answered. */
export function fakeRekor(names: readonly string[], edit: (json: Json) => Json = (json) => json): FakeRekor {
  const answers = names.map((name) => answerOf(realBundle(name)));
  const requests: string[] = [];
  const reply = (found: readonly Answer[]): Json =>
    Object.fromEntries(found.map(({ id, json }) => [id, edit(structuredClone(json))]));
  return {
    requests,
    fetch: (address, init) => {
      const url = new URL(address);
      requests.push(`${init.method ?? "GET"} ${url.href}`);
      const route = `${init.method ?? "GET"} ${url.pathname}`;
      if (route === "GET /api/v1/log/entries") {
        const index = Number(url.searchParams.get("logIndex"));
        const found = answers.filter(({ logIndex }) => logIndex === index);
        return Promise.resolve(found.length === 0 ? Response.json({}, { status: 404 }) : Response.json(reply(found)));
      }
      if (route.startsWith("GET /api/v1/log/entries/")) {
        const found = answers.filter(({ id }) => route.endsWith(id));
        return Promise.resolve(found.length === 0 ? Response.json({}, { status: 404 }) : Response.json(reply(found)));
      }
      const asked = JSON.parse(
        typeof init.body === "string" ? init.body : Buffer.from(init.body as Uint8Array).toString(),
      ) as Json;
      if (route === "POST /api/v1/log/entries/retrieve")
        return Promise.resolve(
          Response.json(answers.filter((answer) => holds(answer, asked)).map((answer) => reply([answer]))),
        );
      if (route === "POST /api/v1/index/retrieve")
        return Promise.resolve(
          Response.json(
            answers
              .filter(({ body }) => JSON.stringify(body).includes(String(asked["hash"]).slice(7)))
              .map(({ id }) => id),
          ),
        );
      throw new Error(`nobody asks Rekor for ${route}`);
    },
  };
}

/** As Rekor does: an entry is known by all that was proposed. */
function holds({ body }: Answer, asked: Json): boolean {
  const [proposed] = (asked["entries"] ?? []) as readonly Json[];
  if (proposed === undefined || proposed["kind"] !== body["kind"]) return false;
  if (proposed["kind"] === "hashedrekord") return JSON.stringify(proposed["spec"]) === JSON.stringify(body["spec"]);
  const content = (proposed["spec"] as Json)["proposedContent"] as Json;
  const envelope = JSON.parse(content["envelope"] as string) as { readonly signatures: readonly [Json] };
  const [signature] = (body["spec"] as Json)["signatures"] as readonly [Json];
  return envelope.signatures[0]["sig"] === signature["signature"];
}
