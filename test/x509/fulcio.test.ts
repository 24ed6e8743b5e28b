import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseCertificate } from "../../src/x509/certificate.ts";
import { FULCIO_EXTENSIONS, readFulcioExtensions, type FulcioExtensions } from "../../src/x509/fulcio.ts";
import {
  bytes,
  extension,
  makeAuthority,
  makeLeaf,
  OIDS,
  text,
  utf8,
  withExtension,
  type Extension,
} from "../support/certificates.ts";
import { sharedAvailable, sharedDir } from "../support/shared.ts";

const root = makeAuthority();
const withCode = (code: string): unknown => expect.objectContaining({ code });
const raw = (value: string): Uint8Array => new TextEncoder().encode(value);
const fulcio = (number: number, value: Uint8Array): Extension => extension(`${OIDS.fulcio}.${number}`, value);
const read = (...changed: readonly Extension[]): FulcioExtensions =>
  readFulcioExtensions(parseCertificate(makeLeaf({ issuer: root, extensions: (usual) => [...usual, ...changed] }).der));

/** Number, field as in sigstore-go, and whether the value is DER: oid-info.md. */
const DIRECTORY: readonly (readonly [number, keyof FulcioExtensions, boolean])[] = [
  [1, "issuer", false],
  [2, "githubWorkflowTrigger", false],
  [3, "githubWorkflowSHA", false],
  [4, "githubWorkflowName", false],
  [5, "githubWorkflowRepository", false],
  [6, "githubWorkflowRef", false],
  [8, "issuer", true],
  [9, "buildSignerURI", true],
  [10, "buildSignerDigest", true],
  [11, "runnerEnvironment", true],
  [12, "sourceRepositoryURI", true],
  [13, "sourceRepositoryDigest", true],
  [14, "sourceRepositoryRef", true],
  [15, "sourceRepositoryIdentifier", true],
  [16, "sourceRepositoryOwnerURI", true],
  [17, "sourceRepositoryOwnerIdentifier", true],
  [18, "buildConfigURI", true],
  [19, "buildConfigDigest", true],
  [20, "buildTrigger", true],
  [21, "runInvocationURI", true],
  [22, "sourceRepositoryVisibilityAtSigning", true],
  [23, "deploymentEnvironment", true],
  [24, "tokenSubject", true],
];

describe("readFulcioExtensions (Fulcio docs/oid-info.md)", () => {
  test("knows every extension of the directory", () => {
    expect(
      FULCIO_EXTENSIONS.map(({ oid, field, der }) => [Number(oid.slice(OIDS.fulcio.length + 1)), field, der]),
    ).toEqual(DIRECTORY);
  });

  test.for(DIRECTORY)("reads number %i as %s", ([number, field, der]) => {
    const value = `välue ${number}`;
    expect(read(fulcio(number, der ? utf8(value) : raw(value)))).toEqual({ [field]: value });
  });

  test.for(DIRECTORY)("rejects number %i (%s) in the other encoding, or takes it for text", ([number, field, der]) => {
    if (der) expect(() => read(fulcio(number, raw("value")))).toThrow(withCode("CERTIFICATE_MALFORMED"));
    else expect(read(fulcio(number, utf8("value")))).toEqual({ [field]: "\u000c\u0005value" });
  });

  test("reads nothing where there is nothing, and leaves other numbers alone", () => {
    expect(read()).toEqual({});
    expect(read(fulcio(25, utf8("x")), fulcio(7, utf8("x")))).toEqual({});
  });

  test("accepts two issuers that agree", () => {
    expect(read(fulcio(1, raw("https://issuer.example")), fulcio(8, utf8("https://issuer.example")))).toEqual({
      issuer: "https://issuer.example",
    });
  });

  test.for<[string, readonly Extension[]]>([
    [
      "two issuers that do not agree",
      [fulcio(1, raw("https://issuer.example")), fulcio(8, utf8("https://issuer.example/"))],
    ],
    ["text that is not UTF-8", [fulcio(2, bytes(0xff))]],
    ["a UTF8String that is not UTF-8", [fulcio(9, bytes(0x0c, 1, 0xff))]],
    ["a string of another type", [fulcio(9, text(0x13, "value"))]],
    ["bytes after the string", [fulcio(9, bytes(utf8("value"), 0))]],
    ["a length in more bytes than it needs", [fulcio(9, bytes(0x0c, 0x81, 1, 0x61))]],
  ])("rejects %s", ([, changed]) => {
    expect(() => read(...changed)).toThrow(withCode("CERTIFICATE_MALFORMED"));
  });

  describe.skipIf(!sharedAvailable())("on certificates of the public instance", () => {
    const leafOf = (path: string): Uint8Array => {
      const { verificationMaterial } = JSON.parse(readFileSync(join(sharedDir, "conformance", path), "utf8")) as {
        verificationMaterial: {
          certificate?: { rawBytes: string };
          x509CertificateChain?: { certificates: { rawBytes: string }[] };
        };
      };
      return Uint8Array.from(
        Buffer.from(
          (verificationMaterial.certificate ?? verificationMaterial.x509CertificateChain?.certificates[0])?.rawBytes ??
            "",
          "base64",
        ),
      );
    };

    // Expected values: openssl x509 -text
    test("reads a certificate of a GitHub workflow", () => {
      const certificate = parseCertificate(leafOf("bundle-verify/happy-path-v0.3-new-mediaType/bundle.sigstore.json"));
      expect(certificate.extensions.subjectAlternativeNames).toMatchObject([
        {
          kind: "uri",
          value:
            "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main",
        },
      ]);
      expect(readFulcioExtensions(certificate)).toMatchObject({
        issuer: "https://token.actions.githubusercontent.com",
        githubWorkflowTrigger: "workflow_dispatch",
        githubWorkflowName: "Extremely dangerous OIDC beacon",
        githubWorkflowRepository: "sigstore-conformance/extremely-dangerous-public-oidc-beacon",
        githubWorkflowRef: "refs/heads/main",
        runnerEnvironment: "github-hosted",
        sourceRepositoryURI: "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon",
        sourceRepositoryOwnerURI: "https://github.com/sigstore-conformance",
        sourceRepositoryVisibilityAtSigning: "public",
      });
    });

    test("reads a certificate of a person", () => {
      const certificate = parseCertificate(leafOf("corpus/sigstore-python/staging-rekor-v2.txt.sigstore.json"));
      expect(certificate.extensions.subjectAlternativeNames).toMatchObject([{ kind: "email", value: "jku@goto.fi" }]);
      expect(readFulcioExtensions(certificate)).toEqual({ issuer: "https://github.com/login/oauth" });
    });
  });
});

test("a certificate with wrong Fulcio extensions is still a certificate", () => {
  const { der } = makeLeaf({ issuer: root, extensions: (usual) => withExtension(usual, fulcio(9, raw("value"))) });
  expect(parseCertificate(der).extensions.all.has(`${OIDS.fulcio}.9`)).toBe(true);
});
