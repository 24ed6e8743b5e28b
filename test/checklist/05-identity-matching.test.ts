import { describe, expect, test } from "vitest";
import { compilePattern } from "../../src/policy/pattern.ts";
import type { StringMatcher } from "../../src/verify/identity.ts";
import { ctx, der, dns, email, extension, OIDS, oid, prim, uri, utf8, withExtension } from "../support/certificates.ts";
import { outcomeOf } from "../support/outcome.ts";
import { runInProcess } from "../support/program.ts";
import { realPath } from "../support/real.ts";
import { ALICE, ISSUER, type CertificateRequest } from "../support/sandbox/authorities.ts";
import { bundleFrom, makeSandbox, verifyIn, type Demand, type SandboxBundle } from "../support/sandbox/sandbox.ts";

const sandbox = makeSandbox();
const certifiedFor = (request: CertificateRequest): SandboxBundle =>
  bundleFrom(sandbox, { signer: { request }, timestamps: [] });

const expecting = (subjectAlternativeName: StringMatcher, issuer: StringMatcher = ISSUER): Demand => ({
  policy: { identity: { subjectAlternativeName, issuer } },
});
const ask = (bundle: SandboxBundle, demand: Demand): ReturnType<typeof outcomeOf> =>
  outcomeOf(verifyIn(sandbox, bundle, demand));

const WORKFLOW = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";
const workflow = certifiedFor({ names: [uri(WORKFLOW)], issuer: "https://token.actions.githubusercontent.com" });
const GITHUB = "https://token.actions.githubusercontent.com";
const alice = bundleFrom(sandbox, { timestamps: [] });

describe("checklist 5: identity matching", () => {
  test("exactly the name and the issuer are accepted", async () => {
    expect(await ask(workflow, expecting(WORKFLOW, GITHUB))).toBe("accepted");
    expect(await ask(alice, expecting(ALICE))).toBe("accepted");
  });

  describe("another name", () => {
    test.each([
      ["a prefix", "https://github.com/acme/app"],
      ["a suffix", "release.yml@refs/heads/main"],
      ["a substring", "acme/app"],
      ["more at the end", `${WORKFLOW}2`],
      ["more at the start", ` ${WORKFLOW}`],
      ["a trailing slash", `${WORKFLOW}/`],
      ["a newline", `${WORKFLOW}\n`],
      ["a NUL", `${WORKFLOW}\0`],
      ["another case", WORKFLOW.replace("acme", "Acme")],
      ["another case of the host", WORKFLOW.replace("github.com", "GitHub.com")],
      ["any character for a dot", WORKFLOW.replace("release.yml", "releasexyml")],
      ["a look-alike host", WORKFLOW.replace("github.com", "github.com.example")],
      ["a host without its dot", WORKFLOW.replace("github.com", "githubxcom")],
      ["another scheme", WORKFLOW.replace("https:", "http:")],
      ["another repository of the owner", WORKFLOW.replace("acme/app", "acme/app2")],
      ["another workflow", WORKFLOW.replace("release", "test")],
      ["another ref", WORKFLOW.replace("main", "maim")],
      ["an escaped character", WORKFLOW.replace("acme", "%61cme")],
      ["path segments that cancel", WORKFLOW.replace("acme/app", "acme/evil/../app")],
      ["a pattern as plain text", "https://github\\.com/.*"],
      ["a wildcard", "*"],
      ["a name of Object.prototype", "constructor"],
    ])("%s", async (_, name) => {
      expect(await ask(workflow, expecting(name, GITHUB))).toBe("IDENTITY_MISMATCH");
    });

    test.each([
      ["a Cyrillic a", "\u0430lice@example.com"],
      ["a ligature of the same meaning", "alice@examp\u217de.com"],
      ["a composed character", "alic\u00e9@example.com"],
      ["a soft hyphen", "ali\u00adce@example.com"],
      ["a display name", "Alice <alice@example.com>"],
      ["a tag", "alice+x@example.com"],
      ["a subdomain", "alice@mail.example.com"],
      ["a domain that begins alike", "alice@example.com.evil.example"],
    ])("of an e-mail address: %s", async (_, name) => {
      expect(await ask(alice, expecting(name))).toBe("IDENTITY_MISMATCH");
    });
  });

  describe("another issuer", () => {
    test.each([
      ["a prefix", "https://accounts.example"],
      ["a substring", "accounts.example.com"],
      ["a trailing slash", `${ISSUER}/`],
      ["a newline", `${ISSUER}\n`],
      ["another case", ISSUER.toUpperCase()],
      ["a look-alike host", `${ISSUER}.evil.example`],
      ["another scheme", ISSUER.replace("https", "http")],
      ["a port", `${ISSUER}:443`],
    ])("%s", async (_, issuer) => {
      expect(await ask(alice, expecting(ALICE, issuer))).toBe("ISSUER_MISMATCH");
    });

    test("none in the certificate", async () => {
      expect(await ask(certifiedFor({ issuer: null }), expecting(ALICE))).toBe("ISSUER_MISMATCH");
    });

    test("two in the certificate that disagree", async () => {
      const two = certifiedFor({
        extensions: (usual) =>
          withExtension(usual, extension(`${OIDS.fulcio}.1`, new TextEncoder().encode("https://evil.example"))),
      });
      expect(await ask(two, expecting(ALICE))).toBe("CERTIFICATE_MALFORMED");
      expect(await ask(two, expecting(ALICE, "https://evil.example"))).toBe("CERTIFICATE_MALFORMED");
    });

    test.each([1, 8])("is read from extension .%i alone", async (number) => {
      const one = certifiedFor({
        extensions: (usual) => usual.filter((entry) => entry.oid !== `${OIDS.fulcio}.${9 - number}`),
      });
      expect(await ask(one, expecting(ALICE))).toBe("accepted");
      expect(await ask(one, expecting(ALICE, "https://evil.example"))).toBe("ISSUER_MISMATCH");
    });
  });

  test("right name and wrong issuer are both told", async () => {
    await expect(verifyIn(sandbox, alice, expecting("bob@example.com", "https://evil.example"))).rejects.toMatchObject({
      code: "IDENTITY_MISMATCH",
      expected: "bob@example.com",
      found: ALICE,
      report: expect.arrayContaining([
        expect.objectContaining({
          name: "identity.issuer",
          outcome: "failed",
          expected: "https://evil.example",
          found: ISSUER,
        }),
      ]) as unknown,
    });
  });

  describe("several names in one certificate", () => {
    const username = ctx(0, oid("1.3.6.1.4.1.57264.1.7"), ctx(0, utf8("alice!example.com")));
    const foreign = ctx(0, oid("1.2.3.4"), ctx(0, utf8(ALICE)));
    const x400 = der(0xa3);
    const bundle = certifiedFor({
      names: [
        foreign,
        x400,
        uri("https://example.com/ci"),
        email(ALICE),
        dns("ci.example.com"),
        prim(7, Uint8Array.of(192, 0, 2, 1)),
        username,
      ],
    });

    test.each([
      ["uri", "https://example.com/ci"],
      ["email", ALICE],
      ["dns", "ci.example.com"],
      ["ip", "192.0.2.1"],
      ["other-name", "alice!example.com"],
    ])("any of them is enough, and the evidence names it: %s", async (kind, value) => {
      const { signer } = await verifyIn(sandbox, bundle, expecting(value));
      expect(signer).toMatchObject({ identity: { subjectAlternativeName: { kind, value } } });
    });

    test.each([
      ["all of them", `https://example.com/ci, ${ALICE}, ci.example.com`],
      ["none of them", "https://example.com/cd"],
      ["a part of a host", "example.com"],
      ["what we say of a name that cannot be read", "X.400 address"],
    ])("%s is not", async (_, value) => {
      expect(await ask(bundle, expecting(value))).toBe("IDENTITY_MISMATCH");
    });

    test("a name of a form that cannot be read is nobody, not even for a pattern", async () => {
      const unreadable = certifiedFor({ names: [foreign, x400] });
      expect(await ask(unreadable, expecting(ALICE))).toBe("IDENTITY_MISMATCH");
      expect(await ask(unreadable, expecting(compilePattern("^.*$")))).toBe("IDENTITY_MISMATCH");
      expect(await ask(unreadable, { policy: { identity: "unsafe-any" } })).toBe("IDENTITY_MISMATCH");
    });

    test("an empty name is nobody", async () => {
      const nameless = certifiedFor({ names: [email("")] });
      expect(await ask(nameless, expecting(compilePattern("^.*$")))).toBe("IDENTITY_MISMATCH");
      expect(await ask(nameless, { policy: { identity: "unsafe-any" } })).toBe("IDENTITY_MISMATCH");
    });

    test("a certificate without names is nobody, even where anybody would do", async () => {
      const nameless = certifiedFor({
        extensions: (usual) => usual.filter((entry) => entry.oid !== OIDS.subjectAltName),
      });
      expect(await ask(nameless, { policy: { identity: "unsafe-any" } })).toBe("IDENTITY_MISMATCH");
    });
  });

  describe("a pattern", () => {
    test.each([
      [
        "anchored",
        "^https://github\\.com/acme/app/\\.github/workflows/release\\.yml@refs/(heads/main|tags/v.*)$",
        "accepted",
      ],
      ["anchored, of another owner", "^https://github\\.com/acm/.*$", "IDENTITY_MISMATCH"],
      ["anchored, too short", "^https://github\\.com/acme$", "IDENTITY_MISMATCH"],
      ["in another case", "^HTTPS://GITHUB\\.COM/.*$", "IDENTITY_MISMATCH"],
      ["with a dot for any character", "^https://github.com/acme/app/.*$", "accepted"],
    ])("%s", async (_, source, code) => {
      expect(await ask(workflow, expecting(compilePattern(source), GITHUB))).toBe(code);
    });

    test("that is not anchored is named in the evidence as not proven", async () => {
      const { unproven } = await verifyIn(
        sandbox,
        workflow,
        expecting(compilePattern("acme/app"), compilePattern("^https://token")),
      );
      expect(unproven.map(({ what }) => what)).toEqual(["identity", "issuer"]);
      const extensions = { githubWorkflowRepository: compilePattern("acme") };
      const extended = certifiedFor({ names: [uri(WORKFLOW)], fulcio: { 5: "acme/app" } });
      const policy = { identity: { subjectAlternativeName: WORKFLOW, issuer: ISSUER, extensions } };
      expect((await verifyIn(sandbox, extended, { policy })).unproven.map(({ what }) => what)).toEqual(["identity"]);
      const anchored = await verifyIn(
        sandbox,
        workflow,
        expecting(compilePattern(`^${WORKFLOW}$`), compilePattern(`^${GITHUB}$`)),
      );
      expect(anchored.unproven).toEqual([]);
    });

    test("ends in linear time, whatever it is", async () => {
      const long = `https://example.com/${"a".repeat(5000)}!`;
      const bundle = certifiedFor({ names: [uri(long)] });
      const started = performance.now();
      for (const source of [
        "^https://example\\.com/(a+)+$",
        "^(.*a){20}$",
        "^(a|a|aa)+$",
        "^(https://example.com/)?(a*)*b$",
      ]) {
        expect(await ask(bundle, expecting(compilePattern(source)))).toBe("IDENTITY_MISMATCH");
      }
      expect(performance.now() - started).toBeLessThan(20_000); // a backtracking engine would not end this year
    });

    test("does not stop at a line", () => {
      for (const value of [`${ALICE}\nevil`, `evil\n${ALICE}`, `${ALICE}\n`]) {
        expect(compilePattern("^alice@example\\.com$").test(value), JSON.stringify(value)).toBe(false);
      }
    });

    test("keeps no memory from one question to the next", () => {
      const pattern = compilePattern("alice");
      expect([1, 2, 3].map(() => pattern.test(ALICE))).toEqual([true, true, true]);
    });

    test.each(["(", "a(?=b)", "\\1", "[", "(?<n>a)\\k<n>"])(
      "that RE2 does not know is refused by the program: %s",
      async (source) => {
        const { status, stderr } = await runInProcess([
          "verify-blob",
          "--bundle",
          realPath("a/blob-v1-email.sigstore.json"),
          "--trusted-root",
          realPath("a/trusted_root.json"),
          "--certificate-identity-regexp",
          source,
          "--certificate-oidc-issuer",
          ISSUER,
          realPath("artifacts/hello.txt"),
        ]);
        expect({ status, stderr }).toEqual({
          status: 1,
          stderr: expect.stringContaining("[USAGE_INVALID]") as unknown,
        });
      },
    );
  });

  test("a key answers for no identity, and a certificate for no key", async () => {
    const { publicKey } = alice;
    expect(await ask(alice, { policy: { keys: [{ publicKey }] } })).toBe("SIGNER_KIND_MISMATCH");
  });
});
