import { expect, test } from "vitest";
import { publicKeyHint } from "../../src/crypto/public-key-hint.ts";
import { parsePublicKeyPem } from "../../src/crypto/public-key.ts";
import { jsonFile } from "../support/json-edits.ts";
import { realBytes } from "../support/real.ts";

test("publicKeyHint gives the hint that cosign wrote into a bundle", async () => {
  const key = parsePublicKeyPem(new TextDecoder().decode(realBytes("keys/p256.pub")));
  const bundle = jsonFile("real/a/blob-v1-key-p256.sigstore.json") as unknown as {
    readonly verificationMaterial: { readonly publicKey: { readonly hint: string } };
  };
  expect(await publicKeyHint(key)).toBe(bundle.verificationMaterial.publicKey.hint);
});
