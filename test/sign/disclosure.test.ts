import { describe, expect, test } from "vitest";

import { generateSigner } from "../../src/keys/generate.ts";
import { parseIdentityToken } from "../../src/oidc/identity-token.ts";
import { disclosureToText, explainDisclosure, type DisclosureRequest } from "../../src/sign/disclosure.ts";
import { parseCertificate } from "../../src/x509/certificate.ts";
import { ALICE, ISSUER, issueCertificate, makeCa, makeCtLog } from "../support/sandbox/authorities.ts";
import { FULCIO, identityToken, REKOR1, SECRET, TSA } from "../support/signing-services.ts";

const SERVICES = {
  fulcio: FULCIO,
  rekor: [{ url: REKOR1, majorApiVersion: 1 as const }],
  timestampAuthorities: [TSA],
};
const CONTENT = { kind: "artifact", digest: { algorithm: "sha256", value: new Uint8Array(32).fill(1) } } as const;
const CT = `certificate transparency log of ${FULCIO}`;
const byToken = (claims = {}): DisclosureRequest["signer"] => ({
  kind: "identity-token",
  token: parseIdentityToken(identityToken(claims)),
});

describe("explainDisclosure", () => {
  test("tells identity, issuer, digest, signature and time of a keyless signature, and where they will be", () => {
    const { items } = explainDisclosure({ services: SERVICES, signer: byToken(), content: CONTENT });
    expect(items.map(({ what, value, logs }) => [what, value, logs])).toEqual([
      ["certificate-identity", ALICE, [CT, REKOR1]],
      ["certificate-issuer", ISSUER, [CT, REKOR1]],
      ["certificate-extension", "1234", [CT, REKOR1]], // the subject, which Fulcio writes besides
      ["artifact-digest", `sha256:${"01".repeat(32)}`, [REKOR1]],
      ["signature", undefined, [REKOR1]],
      ["time", undefined, [CT, REKOR1]],
    ]);
  });

  test("tells what a workflow's certificate will say of its repository, and that it is private", () => {
    const signer = byToken({
      iss: "https://token.actions.githubusercontent.com",
      sub: "repo:octo/secret:ref:refs/heads/main",
      email: undefined,
      job_workflow_ref: "octo/secret/.github/workflows/ci.yml@refs/heads/main",
      repository: "octo/secret",
      repository_owner: "octo",
      repository_visibility: "private",
      event_name: "push",
    });
    const { items, notes } = explainDisclosure({ services: SERVICES, signer, content: CONTENT });
    const told = Object.fromEntries(items.map(({ title, value }) => [title, value]));
    expect(told).toMatchObject({
      Identity: "https://github.com/octo/secret/.github/workflows/ci.yml@refs/heads/main",
      "Source Repository URI": "https://github.com/octo/secret",
      "GitHub Workflow Trigger": "push",
    });
    expect(notes.join()).toContain("repository is private");
  });

  test("tells the key of a signature by a key, and nothing where there is no log", async () => {
    const { publicKey } = await generateSigner();
    const signer = { kind: "key", publicKey } as const;
    const { items } = explainDisclosure({ services: SERVICES, signer, content: CONTENT });
    expect(items[0]).toMatchObject({ what: "public-key", logs: [REKOR1] });
    expect(items[0]?.value).toMatch(/^-----BEGIN PUBLIC KEY-----/);
    const none = explainDisclosure({ services: { ...SERVICES, rekor: [] }, signer, content: CONTENT });
    expect(none.items).toEqual([]);
    expect(none.notes[0]).toMatch(/^Nothing becomes public/);
  });

  test("tells of a certificate that is there already what the transparency log will see", () => {
    const { der } = issueCertificate(makeCa(), { fulcio: { 12: "https://example.com/repository" } }, makeCtLog());
    const signer = { kind: "certificate", certificate: parseCertificate(der) } as const;
    const { items } = explainDisclosure({ services: SERVICES, signer, content: CONTENT });
    expect(items.map(({ value, logs }) => [value, logs]).slice(0, 3)).toEqual([
      [ALICE, [REKOR1]],
      [ISSUER, [REKOR1]],
      ["https://example.com/repository", [REKOR1]],
    ]);
    const unlogged = explainDisclosure({ services: { ...SERVICES, rekor: [] }, signer, content: CONTENT });
    expect(unlogged.items).toEqual([]);
  });

  test("says that a statement stays private, and names its digest", () => {
    const content = { ...CONTENT, kind: "statement" } as const;
    const { items, notes } = explainDisclosure({ services: SERVICES, signer: byToken(), content });
    expect(items.map(({ what }) => what)).toContain("statement-digest");
    expect(notes.join()).toContain("predicate stay private");
  });

  test("is written in lines that are safe to print, without any of the token", () => {
    const signer = byToken({ email: "a\u001b[31m\u202elice@example.com" });
    const text = disclosureToText(explainDisclosure({ services: SERVICES, signer, content: CONTENT }));
    expect(text).toContain("Identity: a\\u001b[31m\\u202elice@example.com");
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
    expect(text).not.toContain(Buffer.from(SECRET).toString("base64url"));
    expect(text).toContain(`  ${REKOR1}\n`);
  });
});
