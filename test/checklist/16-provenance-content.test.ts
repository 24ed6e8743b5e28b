import { describe, expect, test } from "vitest";
import type { ExpectedIdentity } from "../../src/verify/identity.ts";
import { Verifier } from "../../src/verify/verifier.ts";
import { outcomeOf } from "../support/outcome.ts";
import { REAL_ROOTS, realBytes, realCase } from "../support/real.ts";

const verifier = await Verifier.create(REAL_ROOTS.a);

/** What the manifest says that sigstore-go read out of the certificate. */
function extensionsOf(name: string): {
  readonly identity: ExpectedIdentity;
  readonly extensions: Readonly<Record<string, string>>;
} {
  const { signer } = realCase(name);
  if (signer.kind !== "certificate") throw new Error(`${name} has no certificate`);
  const { certificateIssuer: _, subjectAlternativeName: __, issuer, ...extensions } = signer.extensions;
  return { identity: { subjectAlternativeName: signer.identity, issuer: issuer ?? signer.issuer }, extensions };
}

const CASES = [
  "a/blob-v1-github",
  "a/attestation-v2-github",
  "a/blob-v2-gitlab",
  "a/attestation-v1-gitlab",
  "a/blob-v1-email",
];
const FIELDS = CASES.flatMap((name) =>
  Object.entries(extensionsOf(name).extensions).map(([field, value]) => ({ name, field, value })),
);

async function ask(name: string, extensions: object): Promise<string> {
  const one = realCase(name);
  const { identity } = extensionsOf(name);
  return await outcomeOf(
    verifier.verify(realBytes(one.bundle), realBytes(one.artifact), { identity: { ...identity, extensions } }),
  );
}

describe("checklist 16: provenance content", () => {
  test.each(CASES)("all of it is read as sigstore-go reads it: %s", async (name) => {
    const one = realCase(name);
    const { identity, extensions } = extensionsOf(name);
    expect(await ask(name, extensions)).toBe("accepted");
    const { signer } = await verifier.verify(realBytes(one.bundle), realBytes(one.artifact), { identity });
    expect(signer).toMatchObject({ identity: { extensions: { ...extensions, issuer: identity.issuer } } });
  });

  test.each(FIELDS)("right signature, wrong $field: $name", async ({ name, field, value }) => {
    expect(await ask(name, { [field]: value })).toBe("accepted");
    const lastChanged = value.slice(0, -1) + String.fromCharCode(value.charCodeAt(value.length - 1) ^ 1);
    const shorter = value.length > 1 ? [value.slice(1), value.slice(0, -1)] : [];
    for (const wrong of [lastChanged, `${value} `, ` ${value}`, `${value}/`, `${value}\n`, ...shorter]) {
      expect(await ask(name, { [field]: wrong }), JSON.stringify(wrong)).toBe("EXTENSION_MISMATCH");
    }
    if (value.toUpperCase() !== value)
      expect(await ask(name, { [field]: value.toUpperCase() })).toBe("EXTENSION_MISMATCH");
  });

  test("one that is wrong among many that are right", async () => {
    const { extensions } = extensionsOf("a/blob-v1-github");
    for (const field of Object.keys(extensions))
      expect(await ask("a/blob-v1-github", { ...extensions, [field]: "other" }), field).toBe("EXTENSION_MISMATCH");
  });

  test("one that the certificate does not have", async () => {
    expect(await ask("a/blob-v1-email", { sourceRepositoryURI: "https://github.com/acme/app" })).toBe(
      "EXTENSION_MISMATCH",
    );
    expect(await ask("a/blob-v1-github", { deploymentEnvironment: "production" })).toBe("EXTENSION_MISMATCH");
  });
});
