import { describe, expect, test } from "vitest";
import { createRekorV1 } from "../../src/sandbox/rekor1/rekor-v1.ts";
import { createRekorV2 } from "../../src/sandbox/rekor2/rekor-v2.ts";
import { REAL_CASES, realBytes } from "../support/real.ts";
import { testContext } from "./service-context.ts";

const URL_OF_LOG = "http://127.0.0.1:8080";

interface RealBundle {
  readonly verificationMaterial: {
    readonly tlogEntries?: readonly {
      readonly canonicalizedBody: string;
      readonly kindVersion: { readonly kind: string; readonly version: string };
    }[];
  };
  readonly dsseEnvelope?: {
    readonly payload: string;
    readonly payloadType: string;
    readonly signatures: readonly { readonly sig: string }[];
  };
}

/** Every entry of a bundle that the real cosign made, with the bundle around it. */
const ENTRIES = REAL_CASES.flatMap(({ name, bundle }) => {
  const value = JSON.parse(Buffer.from(realBytes(bundle)).toString()) as RealBundle;
  return (value.verificationMaterial.tlogEntries ?? []).map(
    (entry, at) => [`${name} ${at}: ${entry.kindVersion.kind} ${entry.kindVersion.version}`, entry, value] as const,
  );
});

const decode = (base64: string): string => Buffer.from(base64, "base64").toString();

/** What a client sends for an entry of Rekor v1 with this body. */
function proposalOf(body: string, bundle: RealBundle): unknown {
  const { apiVersion, kind, spec } = JSON.parse(body) as {
    apiVersion: string;
    kind: string;
    spec: { signatures?: readonly { verifier: string }[] };
  };
  if (kind !== "dsse") return { apiVersion, kind, spec };
  const { payload, payloadType, signatures } = bundle.dsseEnvelope as NonNullable<RealBundle["dsseEnvelope"]>;
  // The bytes that cosign 3 sends, which the hash of the envelope is of.
  const envelope = JSON.stringify({ payload, payloadType, signatures: signatures.map(({ sig }) => ({ sig })) });
  return {
    apiVersion,
    kind,
    spec: { proposedContent: { envelope, verifiers: spec.signatures?.map(({ verifier }) => verifier) } },
  };
}

/** What a client sends for an entry of Rekor v2 with this body. */
function requestOf(body: string): unknown {
  const { hashedRekordV002 } = (
    JSON.parse(body) as { spec: { hashedRekordV002: { data: { digest: string }; signature: unknown } } }
  ).spec;
  return { hashedRekordRequestV002: { digest: hashedRekordV002.data.digest, signature: hashedRekordV002.signature } };
}

describe("bodies of the sandbox's logs", () => {
  test.for(ENTRIES)("are those of the real logs, byte for byte: %s", async ([, entry, bundle]) => {
    const body = decode(entry.canonicalizedBody);
    const isV2 = entry.kindVersion.version === "0.0.2" && entry.kindVersion.kind === "hashedrekord";
    const context = testContext(URL_OF_LOG);
    const log = isV2 ? await createRekorV2(context) : await createRekorV1(context);
    const response = await log.fetch(
      new Request(`${URL_OF_LOG}/api/v${isV2 ? 2 : 1}/log/entries`, {
        method: "POST",
        body: JSON.stringify(isV2 ? requestOf(body) : proposalOf(body, bundle)),
        headers: { "content-type": "application/json" },
      }),
    );
    expect(response.status).toBe(201);
    expect(Buffer.from(log.recentEntries()[0]?.body ?? []).toString()).toBe(body);
  });

  test("were compared for each kind that there is", () => {
    const kinds = new Set(ENTRIES.map(([, { kindVersion }]) => `${kindVersion.kind} ${kindVersion.version}`));
    expect(kinds).toEqual(new Set(["hashedrekord 0.0.1", "hashedrekord 0.0.2", "dsse 0.0.1"]));
  });
});
