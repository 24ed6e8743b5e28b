import { describe, expect, test } from "vitest";

import { generateSigner } from "../../src/keys/generate.ts";
import { preflight, type PreflightReport } from "../../src/sign/preflight.ts";
import { minutes } from "../support/sandbox/authorities.ts";
import { makeSandbox } from "../support/sandbox/sandbox.ts";
import { FULCIO, identityToken, KEYLESS, makeSigningServices, SECRET } from "../support/signing-services.ts";

const sandbox = makeSandbox();
const outcomes = ({ checks }: PreflightReport): unknown => checks.map(({ name, outcome }) => `${name} ${outcome}`);

describe("preflight", () => {
  test("tries everything that leaves no trace, and shows the token to nobody", async () => {
    const services = makeSigningServices(sandbox);
    const report = await preflight(services.options());
    expect(outcomes(report)).toEqual([
      "services passed",
      "identity-token passed",
      "fulcio passed",
      "clock passed",
      "issuer passed",
      "rekor passed",
    ]);
    expect(report).toMatchObject({ ok: true, services: { fulcio: FULCIO } });
    expect(report.disclosure?.items.map(({ what }) => what)).toContain("certificate-identity");
    expect(services.requests.map(({ method }) => method)).toEqual(["GET", "GET"]);
    expect(JSON.stringify(report)).not.toContain(Buffer.from(SECRET).toString("base64url"));
  });

  test("loads a key, and asks no certificate authority for it", async () => {
    const services = makeSigningServices(sandbox);
    const signer = { kind: "key", signer: () => generateSigner() } as const;
    expect(outcomes(await preflight(services.options({ signer })))).toEqual([
      "services passed",
      "key passed",
      "rekor passed",
    ]);
  });

  test("finds what a signature would fail of, all of it at once", async () => {
    const services = makeSigningServices(sandbox);
    services.forgeries.answer = ({ url }) =>
      url.host === "rekor1.test" ? new Response("", { status: 503 }) : undefined;
    const signer = { ...KEYLESS, identityToken: identityToken({ exp: 1 }) };
    const report = await preflight(services.options({ signer }));
    expect(report.ok).toBe(false);
    expect(report.checks.filter(({ outcome }) => outcome === "failed").map(({ error }) => error?.code)).toEqual([
      "IDENTITY_TOKEN_EXPIRED",
      "HTTP_STATUS_UNEXPECTED",
    ]);
  });

  test.for([
    ["an issuer that Fulcio does not know", { iss: "https://other.example" }, "issuer failed"],
    ["a clock that is behind", {}, "clock failed"],
  ] as const)("finds %s", async ([what, claims, failed]) => {
    const services = makeSigningServices(sandbox);
    const signer = { ...KEYLESS, identityToken: identityToken(claims) };
    const late = what.startsWith("a clock") ? { now: () => minutes(-6) } : {};
    const report = await preflight(services.options({ signer, ...late }));
    expect(outcomes(report)).toContain(failed);
    expect(report.ok).toBe(false);
  });

  test.for([
    ["https://*.example", "https://a-b_1.example", true],
    ["https://*.example/id/*", "https://eu.example/id/A1", true],
    ["https://*.example", "https://a.b.example", false],
    ["https://*.example", "https://.example", false],
    ["https://*.example", "https://a.example/", false],
    ["https://a*a.example", "https://aaa.example", true],
    ["https://a*a.example", "https://aa.example", false],
    [`https://${"*".repeat(20)}.example`, `https://${"a".repeat(60)}.example.org`, false],
    [`https://${"*a".repeat(20)}.example`, `https://${"a".repeat(60)}.example`, true],
  ] as const)("an issuer with wildcards, %s, answers for %s: %s", async ([wildcardIssuerUrl, iss, answers]) => {
    const services = makeSigningServices(sandbox);
    services.forgeries.answer = ({ url }) =>
      url.pathname.endsWith("/configuration")
        ? Response.json({ issuers: [{ wildcardIssuerUrl, audience: "sigstore" }] })
        : undefined;
    const signer = { ...KEYLESS, identityToken: identityToken({ iss }) };
    const report = await preflight(services.options({ signer }));
    expect(outcomes(report)).toContain(answers ? "issuer passed" : "issuer failed");
  });

  test("ends where the services cannot be chosen", async () => {
    const report = await preflight(makeSigningServices(sandbox).options({ services: { kind: "urls" } }));
    expect(report).toMatchObject({ ok: false, services: undefined, checks: [{ name: "services", outcome: "failed" }] });
  });

  test("refuses options that are none", async () => {
    const options = makeSigningServices(sandbox).options({ timeoutMs: 0 });
    await expect(preflight(options)).rejects.toMatchObject({ code: "USAGE_INVALID" });
  });
});
