import { execFileSync } from "node:child_process";
import { createHash, createPublicKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { VerifiedBundle } from "../../src/verify/evidence.ts";
import { Verifier } from "../../src/verify/verifier.ts";
import { pick, type Json } from "../support/json-edits.ts";
import {
  REAL_CASES,
  REAL_ROOTS,
  realBundle,
  realBytes,
  realCase,
  realOptions,
  realPath,
  realPolicy,
  type RealCase,
} from "../support/real.ts";

const verifiers = new Map<string, Promise<Verifier>>();

async function evidenceOf(one: RealCase): Promise<VerifiedBundle> {
  const options = realOptions(one);
  const key = one.root + JSON.stringify(options);
  const verifier = verifiers.get(key) ?? Verifier.create(REAL_ROOTS[one.root], options);
  verifiers.set(key, verifier);
  return await (await verifier).verify(realBytes(one.bundle), realBytes(one.artifact), realPolicy(one));
}

// ---- what is expected, from the manifest, the JSON and OpenSSL, without the code under test

const bytesOf = (base64: unknown): Uint8Array => new Uint8Array(Buffer.from(String(base64), "base64"));
const digestOf = (algorithm: string, data: Uint8Array): Uint8Array =>
  new Uint8Array(createHash(algorithm).update(data).digest());
const rootJson = (name: string): Json =>
  JSON.parse(readFileSync(realPath(`${name}/trusted_root.json`), "utf8")) as Json;
const hex = (data: Uint8Array): string => Buffer.from(data).toString("hex");

interface LogJson {
  readonly baseUrl: string;
  readonly logId: { readonly keyId: string };
}
const logsOf = (root: string, list: "tlogs" | "ctlogs"): readonly LogJson[] => rootJson(root)[list] as LogJson[];

function expectedSigner({ name, signer, root }: RealCase): object {
  if (signer.kind !== "certificate") {
    const spki = createPublicKey(readFileSync(realPath(signer.key))).export({ type: "spki", format: "der" });
    return { kind: "public-key", name: signer.key, spkiSha256: digestOf("sha256", spki) };
  }
  const der = bytesOf(pick(realBundle(name), "verificationMaterial.certificate.rawBytes"));
  const certificate = new X509Certificate(der);
  const { certificateIssuer: _, subjectAlternativeName: value, ...extensions } = signer.extensions;
  const isEmail = value?.includes("://") === false;
  const chain = (
    pick(rootJson(root), "certificateAuthorities.0.certChain.certificates") as unknown as { rawBytes: string }[]
  ).map(({ rawBytes }) => bytesOf(rawBytes));
  return {
    kind: "certificate",
    certificate: { bytes: der, notBefore: certificate.validFromDate, notAfter: certificate.validToDate },
    identity: {
      subjectAlternativeName: { kind: isEmail ? "email" : "uri", value: signer.identity },
      issuer: signer.issuer,
      extensions,
    },
    chain: [der, ...chain].map((bytes) => ({ bytes })),
    certificateAuthority: { uri: "http://127.0.0.1:4401", operator: "http://127.0.0.1:4401" },
    signedCertificateTimestamps: logsOf(root, "ctlogs").map(({ baseUrl, logId }) => ({
      baseUrl,
      logId: bytesOf(logId.keyId),
      operator: hex(bytesOf(logId.keyId)),
      withinCertificateValidity: true,
    })),
  };
}

function expectedContent({ name, content, artifact, algorithm, predicateType }: RealCase): object {
  if (content === "messageSignature") {
    // By the name in the registry; pure Ed25519 has no digest, and SHA-256 is what we name then.
    const hash =
      algorithm === "ed25519-ph"
        ? "sha512"
        : `sha${/sha2-(\d+)|sha(\d+)$/.exec(algorithm)?.slice(1).find(Boolean) ?? "256"}`;
    return { kind: "artifact", digest: { algorithm: hash, value: digestOf(hash, realBytes(artifact)) } };
  }
  const payload = bytesOf(pick(realBundle(name), "dsseEnvelope.payload"));
  const statement = JSON.parse(Buffer.from(payload).toString()) as {
    subject: { name?: string; digest: Record<string, string> }[];
  };
  const matching = statement.subject.find(({ digest }) =>
    Object.entries(digest).some(
      ([hash, value]) =>
        ["sha256", "sha384", "sha512"].includes(hash) && value === hex(digestOf(hash, realBytes(artifact))),
    ),
  );
  const hash = ["sha256", "sha384", "sha512"].find((one) => matching?.digest[one] !== undefined) ?? "";
  return {
    kind: "statement",
    payload,
    predicateType,
    statement: { json: statement, predicateType },
    subject: { subject: matching, digest: { algorithm: hash, value: digestOf(hash, realBytes(artifact)) } },
  };
}

function expectedTimes({ verifiedTimestamps = [] }: RealCase): readonly string[] {
  return verifiedTimestamps
    .map(({ type, uri, timestamp }) => `${type} ${uri} ${new Date(timestamp).toISOString()}`)
    .sort();
}

function foundTimes({ timestamps }: VerifiedBundle, root: string): readonly string[] {
  return timestamps
    .map((one) => {
      if (one.kind === "rfc3161") return `TimestampAuthority ${one.uri} ${one.time.toISOString()}`;
      const log = logsOf(root, "tlogs").find(({ logId }) => Buffer.compare(bytesOf(logId.keyId), one.logId) === 0);
      return `Tlog ${log?.baseUrl ?? "nobody"} ${one.time.toISOString()}`;
    })
    .sort();
}

function expectedEntries({ name, logEntries, root }: RealCase): readonly object[] {
  return logEntries.map((expected, index) => {
    const entry = pick(realBundle(name), `verificationMaterial.tlogEntries.${index}`);
    const proof = pick(entry, "inclusionProof") as {
      rootHash: string;
      logIndex?: string;
      checkpoint: { envelope: string };
    };
    const logId = bytesOf(pick(entry, "logId.keyId"));
    const log = logsOf(root, "tlogs").find(({ logId: listed }) => Buffer.compare(bytesOf(listed.keyId), logId) === 0);
    const promised = expected.generation === 1;
    return {
      logId,
      baseUrl: log?.baseUrl,
      operator: hex(logId),
      kind: expected.kind,
      version: expected.version,
      logIndex: BigInt(expected.logIndex),
      integratedTime: promised ? new Date(Number(expected.integratedTime) * 1000) : undefined,
      inclusionPromise: promised,
      inclusionProof: {
        logIndex: BigInt(proof.logIndex ?? 0), // proto-JSON leaves a zero out
        treeSize: BigInt(expected.treeSize),
        rootHash: bytesOf(proof.rootHash),
        origin: proof.checkpoint.envelope.split("\n")[0],
        cosignatures: [],
      },
    };
  });
}

describe("evidence (bundles of cosign, values of the manifest and of OpenSSL)", () => {
  test.each(REAL_CASES.map((one) => [one.name, one] as const))("%s", async (_, one) => {
    const evidence = await evidenceOf(one);
    expect(evidence.signer).toMatchObject(expectedSigner(one));
    expect(evidence.content).toMatchObject(expectedContent(one));
    expect(evidence.signatureAlgorithm).toBe(one.algorithm);
    expect(evidence.logEntries).toEqual(expectedEntries(one));
    if (one.verifiedTimestamps !== undefined)
      expect(new Set(foundTimes(evidence, one.root))).toEqual(new Set(expectedTimes(one)));
    const times = one.timestamps + one.logEntries.filter(({ generation }) => generation === 1).length;
    expect(evidence.timestamps).toHaveLength(times);
    expect(evidence.setAside).toEqual([]);
    expect(evidence.trust).toEqual({ kind: "caller" });

    const noTime = times === 0 ? ["time"] : [];
    const noLog = one.logEntries.length === 0 ? ["transparency-log"] : [];
    const noWindow = times === 0 && one.logEntries.length > 0 ? ["tlog-key-validity"] : [];
    expect(evidence.unproven.map(({ what }) => what).sort()).toEqual([...noTime, ...noLog, ...noWindow].sort());
    expect(new Set(evidence.checks.map(({ outcome }) => outcome))).toEqual(
      new Set(one.signer.kind === "certificate" ? ["passed"] : ["passed", "skipped"]),
    );
  });

  // RFC 6962 leaves the time to the log: OpenSSL prints what is in the certificate.
  test.each(["a/blob-v1-email", "b/attestation-v2-github"])(
    "the time of the SCT is that which OpenSSL reads: %s",
    async (name) => {
      const der = bytesOf(pick(realBundle(name), "verificationMaterial.certificate.rawBytes"));
      const printed = execFileSync("openssl", ["x509", "-inform", "DER", "-noout", "-text"], {
        input: der,
        encoding: "utf8",
      });
      const time = /Timestamp : (.*) GMT/.exec(printed)?.[1];
      const { signer } = await evidenceOf(realCase(name));
      if (signer.kind !== "certificate") throw new Error("no certificate");
      expect(signer.signedCertificateTimestamps.map((sct) => sct.time)).toEqual([new Date(`${time} GMT`)]);
    },
  );

  test("lists the checks in the order of the client specification, each with its section", async () => {
    const { checks } = await evidenceOf(realCase("a/attestation-v1-email"));
    expect(checks.map(({ name }) => name)).toEqual([
      "bundle.version",
      "signer.kind",
      "timestamp[0]",
      "tlog[0].inclusion-proof",
      "tlog[0].inclusion-promise",
      "tlog[0].key-validity",
      "tlog.threshold",
      "time.threshold",
      "certificate.path",
      "certificate.validity",
      "sct.list",
      "sct[0]",
      "sct.threshold",
      "identity.extensions",
      "identity.subject-alternative-name",
      "identity.issuer",
      "tlog[0].body",
      "envelope.payload-type",
      "statement.format",
      "signature",
      "statement.subject",
      "statement.predicate-type",
    ]);
    for (const { section } of checks) expect(section).not.toBe("");
  });
});
