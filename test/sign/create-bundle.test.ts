import { describe, expect, test } from "vitest";

import { defaultCryptoProvider } from "../../src/crypto/provider.ts";
import { generateSigner } from "../../src/keys/generate.ts";
import { createBundle, type CreateBundleOptions } from "../../src/sign/create-bundle.ts";
import { requestTimestamp } from "../../src/timestamp/client.ts";
import { outcomeOf } from "../support/logs.ts";
import { ARTIFACT, makeSandbox } from "../support/sandbox/sandbox.ts";
import { makeSigningServices, TSA } from "../support/signing-services.ts";

const sandbox = makeSandbox();

describe("createBundle without a log and without a trusted root", async () => {
  const { fetch } = makeSigningServices(sandbox).options();
  const signer = await generateSigner();
  const options = { fetch: fetch ?? expect.fail(), timeoutMs: 10_000, crypto: defaultCryptoProvider() };
  const unlogged: CreateBundleOptions = { ...options, log: "unsafe-none", publicKey: signer.publicKey };
  const [signature, other] = [await signer.sign(ARTIFACT), await signer.sign(ARTIFACT)];

  test.for([
    ["takes a timestamp over the signature", signature, "accepted"],
    ["refuses one that is over another signature", other, "TIMESTAMP_IMPRINT_MISMATCH"],
  ] as const)("%s", async ([, stamped, outcome]) => {
    const rfc3161Timestamps = [await requestTimestamp(TSA, stamped, options)];
    expect(await outcomeOf(createBundle({ signature, rfc3161Timestamps }, ARTIFACT, unlogged))).toBe(outcome);
  });
});
