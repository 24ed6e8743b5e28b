/**
 * Predicates of each type that cosign names; small, but complete enough to be taken for one.
 *
 * @param {string} sha256 - Digest of the artifact that they are about, in hex.
 * @returns {Readonly<Record<string, object>>} by the name that `cosign attest-blob --type` knows.
 */
export function predicatesFor(sha256) {
  return {
    custom: { note: "made for testing" },
    slsaprovenance: {
      builder: { id: "https://builder.example/v1" },
      buildType: "https://builder.example/type/v1",
      invocation: {
        configSource: {
          uri: "git+https://git.example/acme/app@refs/heads/main",
          digest: { sha1: "a".repeat(40) },
          entryPoint: "release",
        },
      },
      metadata: {
        buildInvocationID: "42",
        completeness: { parameters: true, environment: false, materials: true },
        reproducible: false,
      },
      materials: [{ uri: "git+https://git.example/acme/app", digest: { sha1: "a".repeat(40) } }],
    },
    slsaprovenance1: {
      buildDefinition: {
        buildType: "https://builder.example/type/v1",
        externalParameters: {
          workflow: { ref: "refs/heads/main", repository: "https://git.example/acme/app", path: ".ci/release.yml" },
        },
        internalParameters: {},
        resolvedDependencies: [
          { uri: "git+https://git.example/acme/app@refs/heads/main", digest: { gitCommit: "a".repeat(40) } },
        ],
      },
      runDetails: {
        builder: { id: "https://builder.example/v1" },
        metadata: {
          invocationId: "https://builder.example/runs/42",
          startedOn: "2026-01-02T03:04:05Z",
          finishedOn: "2026-01-02T03:05:06Z",
        },
      },
    },
    link: {
      _type: "link",
      name: "build",
      command: ["make", "all"],
      materials: {},
      products: { "hello.txt": { sha256: sha256 } },
      byproducts: { "return-value": 0 },
      environment: {},
    },
    spdxjson: {
      spdxVersion: "SPDX-2.3",
      dataLicense: "CC0-1.0",
      SPDXID: "SPDXRef-DOCUMENT",
      name: "hello",
      documentNamespace: "https://example.com/spdx/hello-1",
      creationInfo: { created: "2026-01-02T03:04:05Z", creators: ["Tool: by-hand-1.0"] },
      packages: [
        {
          SPDXID: "SPDXRef-Package-hello",
          name: "hello",
          versionInfo: "1.0.0",
          downloadLocation: "NOASSERTION",
          filesAnalyzed: false,
          checksums: [{ algorithm: "SHA256", checksumValue: sha256 }],
        },
      ],
      relationships: [
        {
          spdxElementId: "SPDXRef-DOCUMENT",
          relationshipType: "DESCRIBES",
          relatedSpdxElement: "SPDXRef-Package-hello",
        },
      ],
    },
    cyclonedx: {
      bomFormat: "CycloneDX",
      specVersion: "1.6",
      serialNumber: "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79",
      version: 1,
      metadata: {
        timestamp: "2026-01-02T03:04:05Z",
        component: {
          type: "file",
          "bom-ref": "hello",
          name: "hello",
          version: "1.0.0",
          hashes: [{ alg: "SHA-256", content: sha256 }],
        },
      },
      components: [],
    },
    vuln: {
      invocation: {
        parameters: [],
        uri: "https://builder.example/runs/42",
        event_id: "42",
        "builder.id": "https://builder.example/v1",
      },
      scanner: {
        uri: "pkg:generic/scanner@1.0",
        version: "1.0",
        db: { uri: "https://scanner.example/db", version: "7" },
        result: { matches: [] },
      },
      metadata: { scanStartedOn: "2026-01-02T03:04:05Z", scanFinishedOn: "2026-01-02T03:05:06Z" },
    },
    openvex: {
      "@context": "https://openvex.dev/ns/v0.2.0",
      "@id": "https://example.com/vex/1",
      author: "dev@example.com",
      timestamp: "2026-01-02T03:04:05Z",
      version: 1,
      statements: [
        {
          vulnerability: { name: "CVE-2026-0001" },
          products: [{ "@id": "pkg:generic/hello@1.0.0" }],
          status: "not_affected",
          justification: "vulnerable_code_not_present",
        },
      ],
    },
    "https://example.com/predicate/v1": { answer: 42 },
  };
}
