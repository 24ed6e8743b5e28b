import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { generateSigner } from "../../src/keys/generate.ts";
import { startSandbox, type Sandbox } from "../../src/sandbox/sandbox.ts";
import { parseFault } from "../../src/sandbox/faults.ts";
import { preflight } from "../../src/sign/preflight.ts";
import { SigningSession } from "../../src/sign/session.ts";
import { attest, sign } from "../../src/sign/sign.ts";
import type { SigningOptions } from "../../src/sign/options.ts";
import { createMemoryCache } from "../../src/tuf/cache.ts";
import type { LoadSigningConfigOptions } from "../../src/tuf/load-signing-config.ts";
import { verify } from "../../src/verify/verifier.ts";
import { outcomeOf, utf8 } from "../support/logs.ts";
import { statementAbout } from "../support/sandbox/sandbox.ts";
import { readFileSync } from "node:fs";

// The services of the sandbox are made by other hands than the signer, hold each request to their specifications, and are reached
// through sockets: here it is the whole that has to fit together.
let sandbox: Sandbox;
let token: string;
const folder = mkdtempSync(join(tmpdir(), "sign-sandbox-"));
beforeAll(async () => {
  sandbox = await startSandbox();
  token = await sandbox.token();
});
afterEach(() => sandbox.clearFaults());
afterAll(async () => {
  await sandbox.close();
  rmSync(folder, { recursive: true });
});

const tuf = (rekorVersion: 1 | 2): LoadSigningConfigOptions => ({
  mirror: sandbox.urls.tuf,
  root: readFileSync(sandbox.paths.tufRoot),
  cache: createMemoryCache(new Map()),
  rekorVersion,
});
const optionsFor = (rekorVersion: 1 | 2, changes: Partial<SigningOptions> = {}): SigningOptions => ({
  signer: { kind: "keyless", identityToken: token },
  services: { kind: "signing-config", signingConfig: tuf(rekorVersion) },
  environment: {},
  sleep: () => Promise.resolve(),
  ...changes,
});
let artifacts = 0;
const newArtifact = (): Uint8Array => utf8(`artifact ${++artifacts}`);

describe("certificateRequest", () => {
  test.for([
    [undefined, "publicKeyRequest"],
    ["public-key", "publicKeyRequest"],
    ["csr", "certificateSigningRequest"],
  ] as const)("%s asks Fulcio by %s", async ([certificateRequest, member]) => {
    const asked: string[] = [];
    const signed = await sign(
      newArtifact(),
      optionsFor(1, {
        signer: { kind: "keyless", identityToken: token, certificateRequest },
        fulcioFetch: (url, init) => {
          asked.push(...Object.keys(JSON.parse(init.body as string) as object));
          return fetch(url, init);
        },
      }),
    );
    expect(asked).toContain(member);
    expect(asked).not.toContain(member === "publicKeyRequest" ? "certificateSigningRequest" : "publicKeyRequest");
    expect(signed.evidence?.signer.kind).toBe("certificate");
  });
});

describe("sign with the sandbox, found by its TUF repository alone", () => {
  test.for([1, 2] as const)("makes bundles of artifacts and statements with Rekor v%i", async (rekorVersion) => {
    const artifact = newArtifact();
    const { trustedRoot } = sandbox;
    const key = await generateSigner("ecdsa-sha2-384-nistp384");
    for (const signer of [
      { kind: "keyless", identityToken: token },
      { kind: "keyless", identityToken: token, signingAlgorithm: "ecdsa-sha2-512-nistp521" },
      { kind: "key", signer: key },
    ] as const) {
      const options = optionsFor(rekorVersion, { signer });
      const signed = await sign(artifact, options);
      const statement = JSON.stringify(statementAbout(artifact));
      // Rekor v1 verifies statements with SHA-256, whatever the key.
      const other = rekorVersion === 1 && signed.evidence?.signatureAlgorithm !== "ecdsa-sha2-256-nistp256";
      const attested = other ? signed : await attest(statement, options);
      const identity = signed.evidence?.signer;
      const policy =
        identity?.kind === "certificate"
          ? {
              identity: {
                subjectAlternativeName: identity.identity.subjectAlternativeName.value,
                issuer: identity.identity.issuer ?? "",
              },
            }
          : { keys: [{ publicKey: key.publicKey }] as const };
      for (const { json } of [signed, attested]) {
        const evidence = await verify(json, artifact, { trustedRoot, thresholds: { timestamp: 1 }, ...policy });
        expect(evidence.logEntries).toHaveLength(1);
        expect(evidence.setAside).toEqual([]);
      }
    }
  });

  test.for([1, 2] as const)(
    "finds the entry of Rekor v%i again whose answer was lost, and makes no second one",
    async (rekorVersion) => {
      const options = optionsFor(rekorVersion);
      const before = await sign(newArtifact(), options);
      const indexOf = ({ bundle }: typeof before): bigint =>
        bundle.verificationMaterial.tlogEntries[0]?.logIndex ?? expect.fail();
      sandbox.setFault(rekorVersion === 1 ? "rekor1" : "rekor2", { kind: "lost-answer", requests: 1 });
      const signed = await sign(newArtifact(), options);
      expect(indexOf(signed)).toBe(indexOf(before) + 1n);
      const after = await sign(newArtifact(), options);
      expect(indexOf(after)).toBe(indexOf(before) + 2n);
    },
  );

  test("signs a batch with one certificate, with Rekor v2", async () => {
    const issued = (): number => sandbox.requests.filter(({ path }) => path.includes("signingCert")).length;
    const before = issued();
    using session = await SigningSession.open(optionsFor(2));
    const outcomes = await session.signMany(Array.from({ length: 10 }, newArtifact), { concurrency: 8 });
    expect(outcomes.map(({ kind }) => kind)).toEqual(Array(10).fill("signed"));
    expect(issued() - before).toBe(1);
  });

  test("goes on from a state with the next shard of the log, once the first takes no more entries", async () => {
    const state = join(folder, "state.json");
    const options = { ...optionsFor(2), state };
    const artifact = newArtifact();
    sandbox.setFault("rekor2", parseFault("rekor2=503"));
    expect(await outcomeOf(sign(artifact, options))).toBe("HTTP_STATUS_UNEXPECTED");
    sandbox.clearFaults();
    await sandbox.rotate("rekor2");
    const signed = await sign(artifact, options);
    expect(signed.resumed).toBe(true);
    const { trustedRoot } = sandbox;
    await expect(verify(signed.json, artifact, { trustedRoot, identity: "unsafe-any" })).resolves.toBeDefined();
  });

  test.for(["rekor1", "rekor2", "tsa", "fulcio", "ctlog"] as const)(
    "takes a new key of %s from the repository, also in a session that began before",
    async (service) => {
      using session = await SigningSession.open(optionsFor(service === "rekor1" ? 1 : 2));
      await session.sign(newArtifact());
      await sandbox.rotate(service);
      expect(await outcomeOf(session.sign(newArtifact()))).toBe("accepted");
      expect(await outcomeOf(sign(newArtifact(), optionsFor(service === "rekor1" ? 1 : 2)))).toBe("accepted");
    },
  );

  test("does not believe a new key that the repository knows nothing of", async () => {
    const options = optionsFor(2);
    using session = await SigningSession.open({ ...options, trust: sandbox.trustedRoot });
    await sandbox.rotate("tsa");
    expect(await outcomeOf(session.sign(newArtifact()))).toBe("TIMESTAMP_THRESHOLD_NOT_MET");
  });

  test("passes its preflight", async () => {
    const report = await preflight(optionsFor(2));
    expect(report.checks.filter(({ outcome }) => outcome === "failed")).toEqual([]);
  });
});

describe("sign refuses what the sandbox forges", () => {
  test.for([
    ["fulcio=other-key", "CERTIFICATE_KEY_MISMATCH"],
    ["fulcio=other-identity", "IDENTITY_MISMATCH"],
    ["fulcio=other-sct", "SCT_INVALID"],
    ["fulcio=wrong-ca", "CERTIFICATE_ISSUER_UNKNOWN"],
    ["fulcio=expired", "CERTIFICATE_NOT_VALID_AT_TIME"],
    ["ctlog=wrong-key", "SCT_INVALID"],
    ["tsa=wrong-key", "TIMESTAMP"],
    ["tsa=other-signature", "TIMESTAMP_IMPRINT_MISMATCH"],
    ["tsa=wrong-nonce", "TIMESTAMP_NONCE_MISMATCH"],
    ["tsa=rejection", "TIMESTAMP_NOT_GRANTED"],
    ["rekor2=wrong-key", "CHECKPOINT"],
    ["rekor2=other-entry", "TLOG_ENTRY_MISMATCH"],
    ["rekor2=wrong-proof", "TLOG_INCLUSION_PROOF_INVALID"],
    ["rekor2=stale-checkpoint", "TLOG_INCLUSION_PROOF_INVALID"],
  ] as const)("%s", async ([fault, code]) => {
    const parsed = parseFault(fault);
    sandbox.setFault(parsed.service, parsed);
    expect(await outcomeOf(sign(newArtifact(), optionsFor(2)))).toContain(code);
  });
});
