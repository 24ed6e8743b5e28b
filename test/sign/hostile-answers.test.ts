import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";

import { SigstoreError } from "../../src/errors.ts";
import type { Fetch } from "../../src/http/request.ts";
import { generateSigner } from "../../src/keys/generate.ts";
import type { SigningOptions } from "../../src/sign/options.ts";
import { sign } from "../../src/sign/sign.ts";
import { parseTrustedRoot } from "../../src/trust/trusted-root.ts";
import { verify } from "../../src/verify/verifier.ts";
import type { VerifyPolicy } from "../../src/verify/options.ts";
import { damaged, DAMAGES } from "../support/damage.ts";
import { ALICE_SIGNED, ARTIFACT, makeSandbox } from "../support/sandbox/sandbox.ts";
import { FULCIO, makeSigningServices, REKOR1, REKOR2, SECRET, TSA } from "../support/signing-services.ts";

const sandbox = makeSandbox();
const services = makeSigningServices(sandbox);
const trustedRoot = parseTrustedRoot(services.rootText);
const RUNS = Number(process.env["HOSTILE_RUNS"] ?? 40);
const SAMPLE = { seed: 20_261_126, numRuns: RUNS };

const bothLogs: SigningOptions["services"] = {
  kind: "urls",
  fulcioUrl: FULCIO,
  rekor: [
    { url: REKOR1, majorApiVersion: 1 },
    { url: REKOR2, majorApiVersion: 2 },
  ],
  timestampUrls: [TSA],
};

/** A signature either ends in a bundle that a stranger verifies, or in an error of ours that tells no secret. */
async function expectBundleOrRefusal(options: Parameters<typeof sign>[1], policy: VerifyPolicy): Promise<void> {
  const signed = await sign(ARTIFACT, options).catch((error: unknown) => {
    if (!(error instanceof SigstoreError)) throw error;
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
      expect(cause.message).not.toContain(Buffer.from(SECRET).toString("base64url"));
    }
    return undefined;
  });
  if (signed !== undefined) await verify(signed.json, ARTIFACT, { trustedRoot, ...policy });
}

describe("answers that are damaged", () => {
  /** Damages the answer to one request, and lets all others through. */
  const damaging = (which: number, damage: (body: Uint8Array) => Uint8Array, status: number): Fetch => {
    let asked = 0;
    return async (url, init) => {
      const answer = await services.fetch(url, init);
      if (asked++ !== which) return answer;
      const body = damage(new Uint8Array(await answer.arrayBuffer())) as Uint8Array<ArrayBuffer>;
      return new Response(body, { status: status === 0 ? answer.status : status, headers: answer.headers });
    };
  };

  test("end in a bundle that verifies or in an error of ours", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(3),
        DAMAGES,
        fc.constantFrom(0, 0, 0, 0, 0, 200, 201, 409, 405, 404),
        async (which, damages, status) => {
          const fetch = damaging(which, (body) => damaged(body, damages), status);
          const options = services.options({ services: bothLogs, fetch, retries: 0, sleep: () => Promise.resolve() });
          await expectBundleOrRefusal({ ...options, timeoutMs: 10_000 }, ALICE_SIGNED);
        },
      ),
      SAMPLE,
    );
  });
});

describe("signing states that are damaged", async () => {
  const folder = mkdtempSync(join(tmpdir(), "hostile-state-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "state.json");
  const signer = await generateSigner();

  test("end in a bundle of the very signer that verifies or in an error of ours", async () => {
    const keyed = { kind: "key", signer } as const;
    const states = await Promise.all(
      ([{}, { signer: keyed }] as const).map(async (change, index) => {
        const changes = { services: bothLogs, ...change };
        const state = `${path}.${index}`;
        const stop = { ...services.options(changes), deliver: () => Promise.reject(new Error("stop")) };
        await expect(sign(ARTIFACT, { ...stop, state })).rejects.toThrow("stop");
        const policy: VerifyPolicy = index === 0 ? ALICE_SIGNED : { keys: [{ publicKey: signer.publicKey }] };
        return { changes, policy, bytes: new Uint8Array(readFileSync(state)) };
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...states), DAMAGES, async ({ changes, policy, bytes }, damages) => {
        writeFileSync(path, damaged(bytes, damages), { mode: 0o600 });
        await expectBundleOrRefusal({ ...services.options(changes), state: path }, policy);
      }),
      SAMPLE,
    );
  });
});
