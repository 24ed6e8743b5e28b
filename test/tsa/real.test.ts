import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { defaultCryptoProvider } from "../../src/crypto/provider.ts";
import { parseTimestampResponse } from "../../src/tsa/timestamp-response.ts";
import { verifyTimestamp, type TimestampAuthority } from "../../src/tsa/verify.ts";
import { parseCertificate } from "../../src/x509/certificate.ts";
import { bytes } from "../support/certificates.ts";
import { projectDir } from "../support/shared.ts";

const crypto = defaultCryptoProvider();
const fromBase64 = (text: string): Uint8Array => bytes(Buffer.from(text, "base64"));
const folderOf = (run: string): string => resolve(projectDir, "testdata", "real", run);

function authorities(run: string): readonly TimestampAuthority[] {
  const { timestampAuthorities } = JSON.parse(readFileSync(resolve(folderOf(run), "trusted_root.json"), "utf8")) as {
    readonly timestampAuthorities: readonly {
      readonly uri: string;
      readonly certChain: { readonly certificates: readonly { readonly rawBytes: string }[] };
      readonly validFor: { readonly start: string };
    }[];
  };
  return timestampAuthorities.map(({ uri, certChain, validFor }) => ({
    uri,
    certificates: certChain.certificates.map(({ rawBytes }) => parseCertificate(fromBase64(rawBytes))),
    validFor: { start: new Date(validFor.start) },
  }));
}

interface Stamped {
  readonly token: Uint8Array;
  readonly signature: Uint8Array;
}

function stampsOf(run: string): readonly Stamped[] {
  const bundles = readdirSync(folderOf(run)).filter((name) => name.endsWith(".sigstore.json"));
  return bundles.flatMap((name) => {
    const bundle = JSON.parse(readFileSync(resolve(folderOf(run), name), "utf8")) as {
      readonly verificationMaterial: {
        readonly timestampVerificationData?: {
          readonly rfc3161Timestamps?: readonly { readonly signedTimestamp: string }[];
        };
      };
      readonly messageSignature?: { readonly signature: string };
      readonly dsseEnvelope?: { readonly signatures: readonly { readonly sig: string }[] };
    };
    const signature = fromBase64(bundle.messageSignature?.signature ?? bundle.dsseEnvelope?.signatures[0]?.sig ?? "");
    const stamps = bundle.verificationMaterial.timestampVerificationData?.rfc3161Timestamps ?? [];
    return stamps.map(({ signedTimestamp }) => ({ token: fromBase64(signedTimestamp), signature }));
  });
}

// Both runs had authorities of the same names and addresses; the keys differ.
describe.for([
  ["a", "b"],
  ["b", "a"],
] as const)("verifyTimestamp (tokens of Sigstore's timestamp-authority, run %s)", ([run, other]) => {
  test("proves each for its own signature and authority, and knows no other authority's", async () => {
    const stamps = stampsOf(run);
    expect(stamps.length).toBeGreaterThan(5);
    const own = authorities(run);
    const foreign = authorities(other);
    await Promise.all(
      stamps.map(async ({ token, signature }, index) => {
        const parsed = parseTimestampResponse(token);
        expect(await verifyTimestamp(parsed, signature, [...foreign, ...own], { crypto })).toMatchObject({
          time: parsed.genTime,
          authority: own[0],
        });
        expect(await verifyTimestamp(parsed, signature, foreign, { crypto })).toBeUndefined();
        const unlisted = foreign.map((authority) => ({ ...authority, certificates: authority.certificates.slice(1) }));
        expect(await verifyTimestamp(parsed, signature, unlisted, { crypto })).toBeUndefined();
        const elsewhere = stamps[(index + 1) % stamps.length]?.signature ?? signature;
        if (Buffer.compare(elsewhere, signature) === 0) return;
        await expect(verifyTimestamp(parsed, elsewhere, own, { crypto })).rejects.toMatchObject({
          code: "TIMESTAMP_IMPRINT_MISMATCH",
        });
      }),
    );
  });
});
