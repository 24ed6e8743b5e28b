import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseBundle, type Bundle } from "../../src/bundle/bundle.ts";
import { FormatError } from "../../src/errors.ts";
import { describeBundle, treeToJson, type Claim } from "../../src/report/inspect.ts";
import { renderTree } from "../../src/report/tree.ts";
import { change, jsonFile, pick, textFile, type Json } from "../support/json-edits.ts";
import { REAL_CASES, realBundle, realBytes } from "../support/real.ts";
import { sharedAvailable, sharedDir } from "../support/shared.ts";

/** Every claim with its value, as `label: value`. */
function factsOf({ label, value, children = [] }: Claim): readonly string[] {
  return [value === undefined ? label : `${label}: ${value}`, ...children.flatMap(factsOf)];
}

function inspect(input: Json | string | Uint8Array): readonly string[] {
  const tree = describeBundle(
    parseBundle(typeof input === "string" || input instanceof Uint8Array ? input : JSON.stringify(input)),
  );
  const text = renderTree(tree);
  expect(text).not.toMatch(/\[object|undefined|NaN|Invalid/);
  expect(text.split("\n")).toHaveLength(factsOf(tree).length);
  expect(treeToJson(tree)).toMatchObject({ label: "bundle" });
  return factsOf(tree);
}

const seconds = (time: string): string => time.replace("Z", ".000Z");

/** How a line of cosign's says what one of ours says; what has no entry here is no fact of its own. */
const SAME: Readonly<Record<string, (value: string) => string>> = {
  "Bundle Media Type": (value) => `bundle: ${value}`,
  "Not Before": (value) => `not before: ${seconds(value)}`,
  "Not After": (value) => `not after: ${seconds(value)}`,
  Email: (value) => `subject alternative name: ${value} (email)`,
  URI: (value) => `subject alternative name: ${value} (uri)`,
  "Key Usage": () => "key usage: digitalSignature",
  "Extended Key Usage": () => "extended key usage: code signing",
  "Subject Key ID": (value) => `subject key id: ${value}`,
  "Authority Key ID": (value) => `authority key id: ${value}`,
  Curve: (value) => `public key: ecdsa-${value.replace("-", "").toLowerCase()}`,
  "Key Size": (value) => `public key: rsa, ${value}`,
  "Signature Algorithm": () => "signature algorithm: ecdsa with sha384",
  "OIDC Issuer": (value) => `OIDC issuer: ${value}`,
  "Issuer (V2)": (value) => `OIDC issuer: ${value}`,
  "Log Index": (value) => `log index: ${value}`,
  "Log ID": (value) => `log id: ${value}`,
  "Signed Entry Timestamp": (value) => `inclusion promise: ${/\d+ bytes/.exec(value)?.[0] ?? ""}`,
  "Canonicalized Body": (value) => `size: ${/\d+ bytes/.exec(value)?.[0] ?? ""}`,
  "Tree Size": (value) => `tree size: ${value}`,
  Hashes: (value) => `hashes: ${value}`,
  Origin: (value) => `origin: ${value}`,
  Time: (value) => `time: ${seconds(value)}`,
  "Serial Number": (value) => `serial number: ${value}`,
  Policy: (value) => `policy: ${value}`,
  "Payload Type": (value) => `DSSE envelope: ${value}`,
  "Predicate Type": (value) => `predicate type: ${value}`,
  Name: (value) => `subject: ${value}`,
  Kind: (value) => `kind: ${value}`,
  "[!] WARNING": () => "warning: ",
};

describe("describeBundle", () => {
  test.each(readdirSync(new URL("../../testdata/inspect/", import.meta.url)).filter((name) => name.endsWith(".txt")))(
    "says what cosign's bundle inspect says of %s",
    (name) => {
      const [, folder = "", base = ""] = /^(real-a|bundle)-(.*)\.txt$/.exec(name) ?? [];
      const facts = inspect(textFile(`${folder.replace("-", "/")}/${base}.sigstore.json`));
      let compared = 0;
      for (const line of textFile(`inspect/${name}`).split("\n")) {
        const [, label = "", value = ""] = /^ *- ([^:]+): (.*)$/.exec(line) ?? [];
        const fact =
          SAME[label]?.(value) ??
          (/^(GitHub|Build|Source|Runner|Run|Token|Deployment)/.test(label) ? `${label} (` : undefined);
        if (fact === undefined || (label === "Integrated Time" && value.startsWith("0 "))) continue;
        compared += 1;
        const found = facts.filter((one) => one.startsWith(fact));
        expect(found, line).not.toEqual([]);
        if (fact.endsWith(" ("))
          expect(found[0]).toMatch(new RegExp(String.raw` \(1\.3\.6\.1\.4\.1\.57264\.1\.\d+\): `));
        if (fact.endsWith(" (")) expect(found[0]?.endsWith(`): ${value}`), line).toBe(true);
      }
      expect(compared).toBeGreaterThan(8);
    },
  );

  test.each(REAL_CASES.map((one) => [one.name, one] as const))(
    "names signer, log, time and content of %s",
    (_, one) => {
      const facts = inspect(realBytes(one.bundle));
      const { signer } = one;
      if (signer.kind === "certificate") {
        expect(facts).toEqual(
          expect.arrayContaining([
            expect.stringMatching(/^subject alternative name: /),
            `OIDC issuer: ${signer.issuer}`,
          ]),
        );
        expect(facts.find((fact) => fact.startsWith("subject alternative name: "))).toContain(signer.identity);
      } else expect(facts).toContain("public key");
      for (const { kind, version, logIndex, treeSize, integratedTime } of one.logEntries) {
        expect(facts).toEqual(
          expect.arrayContaining([
            `log entry: ${kind} ${version}`,
            `kind: ${kind}`,
            `log index: ${logIndex}`,
            `tree size: ${treeSize}`,
          ]),
        );
        if (integratedTime !== undefined)
          expect(facts).toContain(`integrated time: ${new Date(Number(integratedTime) * 1000).toISOString()}`);
      }
      expect(facts.filter((fact) => fact === "RFC 3161 timestamp")).toHaveLength(one.timestamps);
      if (one.predicateType !== undefined) expect(facts).toContain(`predicate type: ${one.predicateType}`);
      expect(
        facts.filter((fact) => fact.startsWith("imprint: ") && !/^imprint: sha(256|384|512):[0-9a-f]+$/.test(fact)),
      ).toEqual([]);
      expect(
        facts.filter(
          (fact) =>
            fact.startsWith("warning") &&
            !(fact === "warning: no message digest" && one.name === "a/blob-none-key-ed25519"),
        ),
      ).toEqual([]);
    },
  );

  describe.skipIf(!sharedAvailable())("of the conformance vectors", () => {
    const folder = join(sharedDir, "conformance", "bundle-verify");
    const names = sharedAvailable()
      ? readdirSync(folder).filter((name) => existsSync(join(folder, name, "bundle.sigstore.json")))
      : [];
    test.each(names)("shows %s, or says why it is no bundle", (name) => {
      let bundle: Bundle;
      try {
        bundle = parseBundle(readFileSync(join(folder, name, "bundle.sigstore.json")));
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
        expect(name).toMatch(/_fail$/);
        return;
      }
      expect(factsOf(describeBundle(bundle)).length).toBeGreaterThan(3);
    });
  });

  const real = realBundle("a/blob-v1-email");
  const junk = Buffer.from("junk").toString("base64");
  test.each([
    ["certificate", "certificate", change(real, "verificationMaterial.certificate.rawBytes", junk)],
    [
      "timestamp",
      "RFC 3161 timestamp",
      change(real, "verificationMaterial.timestampVerificationData.rfc3161Timestamps.0.signedTimestamp", junk),
    ],
    ["log entry", "body", change(real, "verificationMaterial.tlogEntries.0.canonicalizedBody", junk)],
    [
      "checkpoint",
      "checkpoint",
      change(real, "verificationMaterial.tlogEntries.0.inclusionProof.checkpoint.envelope", "junk"),
    ],
    ["statement", "statement", change(realBundle("a/attestation-v1-email"), "dsseEnvelope.payload", junk)],
  ])("shows the rest where the %s cannot be read", (_, label, bundle) => {
    const facts = inspect(bundle);
    expect(
      facts.slice(facts.indexOf(label)).find((fact) => fact.startsWith("warning: cannot be read: ")),
    ).toBeDefined();
    expect(facts.length).toBeGreaterThan(15);
  });

  test("warns of a chain in a bundle of version 0.3, and of a missing proof, promise and digest", () => {
    const certificate = pick(real, "verificationMaterial.certificate");
    const { certificate: _, ...rest } = pick(real, "verificationMaterial");
    const chain = change(real, "verificationMaterial", {
      ...rest,
      x509CertificateChain: { certificates: [certificate] },
    });
    expect(inspect(chain)).toContain("warning: version 0.3 holds a single certificate, not a chain");
    const bare = change(
      change(real, "verificationMaterial.tlogEntries.0.inclusionProof", undefined),
      "verificationMaterial.tlogEntries.0.inclusionPromise",
      undefined,
    );
    expect(inspect(bare)).toEqual(expect.arrayContaining(["warning: no inclusion proof", "inclusion promise: none"]));
    expect(inspect(change(real, "messageSignature.messageDigest", undefined))).toContain("warning: no message digest");
  });

  test("shows extension lines of a checkpoint, and a payload that is no statement", () => {
    const envelope = pick(real, "verificationMaterial.tlogEntries.0.inclusionProof.checkpoint")["envelope"] as string;
    const extended = envelope.replace("\n\n", "\nTimestamp: 1\n\n");
    expect(
      inspect(change(real, "verificationMaterial.tlogEntries.0.inclusionProof.checkpoint.envelope", extended)),
    ).toContain("extension: Timestamp: 1");
    const attestation = realBundle("a/attestation-v1-email");
    expect(inspect(change(attestation, "dsseEnvelope.payloadType", "text/plain"))).toContain(
      "DSSE envelope: text/plain",
    );
  });

  test("reads bundles of every version", () => {
    const versions = [
      "v0.1-chain-promise-and-proof",
      "v0.2-npm-publish-key-hint",
      "v0.3-dsse-certificate",
      "v0.3-ed25519-empty-message-digest",
      "v0.3-rekor-v2-timestamp",
    ];
    for (const name of versions) expect(inspect(jsonFile(`bundle/${name}.sigstore.json`)).length).toBeGreaterThan(3);
  });
});
