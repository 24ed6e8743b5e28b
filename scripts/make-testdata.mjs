#!/usr/bin/env node
// Makes testdata/real: bundles signed by the real cosign against real Sigstore services on loopback.
// usage: make-testdata.mjs [OUT]     see testdata/real/README.md
import { execFileSync } from "node:child_process";
import { X509Certificate, createHash, createPublicKey, verify } from "node:crypto";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { PEOPLE, issuerOf, signArguments } from "../test/interop/cosign-arguments.ts";
import { predicatesFor } from "./testdata-predicates.mjs";
import { UNREACHABLE, ensurePeers, findPeers, runProgram, startRealStack } from "../test/interop/stack.ts";

const PROJECT = resolve(fileURLToPath(import.meta.url), "..", "..");
const OUT = resolve(process.argv[2] ?? join(PROJECT, "testdata", "real"));
const PASSWORD = "testdata";

const peers = findPeers(PROJECT);
const absent = ensurePeers(peers);
if (absent !== undefined) {
  console.error(`cannot make test data: ${absent}`);
  process.exit(1);
}

const work = mkdtempSync(join(tmpdir(), "make-testdata-"));
process.once("exit", () => rmSync(work, { recursive: true, force: true }));
const home = join(work, "home"); // cosign's; nothing in it points at a TUF repository
mkdirSync(home);
const inWork = (...parts) => join(work, ...parts);
const sha = (algorithm, file) =>
  createHash(algorithm)
    .update(readFileSync(inWork(file)))
    .digest("hex");

// ---------------------------------------------------------------- what is signed, and by which keys

const ARTIFACTS = {
  "hello.txt": "hello\n",
  "world.txt": "world\n",
  "empty.txt": "",
  "every-byte.bin": Uint8Array.from({ length: 256 }, (_, i) => i),
};
for (const [name, content] of Object.entries(ARTIFACTS)) writeFileSync(inWork(name), content);

const PREDICATES = predicatesFor(sha("sha256", "hello.txt"));
const predicateFile = (type) => `predicate-${type.replaceAll(/[^a-z0-9]+/g, "-")}.json`;
for (const [type, predicate] of Object.entries(PREDICATES))
  writeFileSync(inWork(predicateFile(type)), JSON.stringify(predicate));

const subject = (name, ...algorithms) => ({
  name,
  digest: Object.fromEntries(algorithms.map((a) => [a, sha(a, name)])),
});
/** Statements that cosign does not write itself, signed as they are by `--statement`. */
const STATEMENTS = {
  "statement-sha512-only": { _type: "https://in-toto.io/Statement/v1", subject: [subject("hello.txt", "sha512")] },
  "statement-sha384-only": { _type: "https://in-toto.io/Statement/v1", subject: [subject("hello.txt", "sha384")] },
  "statement-several-subjects": {
    _type: "https://in-toto.io/Statement/v1",
    subject: [subject("world.txt", "sha256"), subject("hello.txt", "sha256"), subject("every-byte.bin", "sha256")],
  },
  "statement-several-digests": {
    _type: "https://in-toto.io/Statement/v1",
    subject: [subject("hello.txt", "sha1", "sha256", "sha512")],
  },
  "statement-v0.1": { _type: "https://in-toto.io/Statement/v0.1", subject: [subject("hello.txt", "sha256")] },
};
const STATEMENT_PREDICATE_TYPE = "https://example.com/predicate/v1";
for (const [name, head] of Object.entries(STATEMENTS))
  writeFileSync(
    inWork(`${name}.json`),
    JSON.stringify({ ...head, predicateType: STATEMENT_PREDICATE_TYPE, predicate: { answer: 42 } }),
  );

/** Key pairs: `cosign generate-key-pair` makes the P-256 ones; the others are openssl's, imported by cosign. */
const KEYS = {
  p256: { algorithm: "ecdsa-sha2-256-nistp256" },
  "p256-other": { algorithm: "ecdsa-sha2-256-nistp256" },
  p384: {
    algorithm: "ecdsa-sha2-384-nistp384",
    hash: "sha384",
    openssl: ["ecparam", "-name", "secp384r1", "-genkey", "-noout"],
  },
  p521: {
    algorithm: "ecdsa-sha2-512-nistp521",
    hash: "sha512",
    openssl: ["ecparam", "-name", "secp521r1", "-genkey", "-noout"],
  },
  rsa2048: {
    algorithm: "rsa-sign-pkcs1-2048-sha256",
    openssl: ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
  },
  rsa3072: {
    algorithm: "rsa-sign-pkcs1-3072-sha256",
    openssl: ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"],
  },
  rsa4096: {
    algorithm: "rsa-sign-pkcs1-4096-sha256",
    openssl: ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"],
  },
  ed25519: { algorithm: "ed25519-ph", hash: "sha512", openssl: ["genpkey", "-algorithm", "ED25519"] },
};
const KEYLESS_ALGORITHMS = {
  p384: "ecdsa-sha2-384-nistp384",
  p521: "ecdsa-sha2-512-nistp521",
  rsa2048: "rsa-sign-pkcs1-2048-sha256",
  rsa3072: "rsa-sign-pkcs1-3072-sha256",
  rsa4096: "rsa-sign-pkcs1-4096-sha256",
};

async function cosign(args, env = {}) {
  const outcome = await runProgram(join(peers.bin, "cosign"), args, {
    cwd: work,
    home,
    env: { COSIGN_PASSWORD: PASSWORD, TUF_MIRROR: UNREACHABLE, ...env },
  });
  const error = /^Error: (.*)$/m.exec(outcome.stderr)?.[1] ?? outcome.stderr.trim().split("\n").at(-1);
  return { ok: outcome.status === 0, error };
}

async function makeKeys() {
  for (const [name, key] of Object.entries(KEYS)) {
    if (key.openssl === undefined) {
      await must(cosign(["generate-key-pair", "--output-key-prefix", name]));
    } else {
      execFileSync("openssl", [...key.openssl, "-out", `${name}.pem`], { cwd: work, stdio: "ignore" });
      await must(cosign(["import-key-pair", "--yes", "--key", `${name}.pem`, "--output-key-prefix", name]));
    }
  }
}

async function must(promise) {
  const outcome = await promise;
  if (!outcome.ok) throw new Error(outcome.error);
}

// ---------------------------------------------------------------- the cases

/** The signing configurations, made from the two of the stack. */
function signingConfigs(stack) {
  const v1 = JSON.parse(readFileSync(stack.signingConfigRekor1, "utf8"));
  const v2 = JSON.parse(readFileSync(stack.signingConfig, "utf8"));
  const without = (config, ...keys) =>
    Object.fromEntries(Object.entries(config).filter(([key]) => !keys.includes(key)));
  const noTsa = ["tsaUrls", "tsaConfig"];
  const noRekor = ["rekorTlogUrls", "rekorTlogConfig"];
  return {
    v1: v1,
    v2: v2,
    "v1-no-tsa": without(v1, ...noTsa),
    "v2-no-tsa": without(v2, ...noTsa),
    "tsa-only": without(v2, ...noRekor),
    none: { mediaType: v2.mediaType },
    // The same authority under two operators, each of which is asked.
    "v1-tsa-twice": {
      ...v1,
      tsaUrls: [...v1.tsaUrls, ...v1.tsaUrls.map((s) => ({ ...s, operator: "other.local" }))],
      tsaConfig: { selector: "ALL" },
    },
  };
}

/** Yields `{ name, config, artifact, by, ... }`; a name says content, log, signer and then what is special. */
function* mainCases() {
  const both = (make) => ["v1", "v2"].flatMap((config) => [make("blob", config), make("attestation", config)]);

  // The first leaf of each log: index 0 and no hashes in the proof. It also gives the rest a tree.
  for (const config of ["v1", "v2"])
    yield {
      name: `blob-${config}-email-first-entry`,
      config,
      artifact: "hello.txt",
      by: "email",
      note: "first leaf of the log: index 0, no hashes in the proof",
    };
  for (const config of ["v1", "v2"])
    yield {
      name: `blob-${config}-email-second-entry`,
      config,
      artifact: "world.txt",
      by: "email",
      note: "second leaf of the log",
    };

  for (const by of ["email", "github", "gitlab", "other-email"])
    yield* both((content, config) => ({
      name: `${content}-${config}-${by}`,
      content,
      config,
      artifact: "hello.txt",
      by,
    }));
  yield* both((content, config) => ({
    name: `${content}-${config}-email-again`,
    content,
    config,
    artifact: "hello.txt",
    by: "email",
    note: `same identity and artifact as ${content}-${config}-email, another certificate`,
  }));
  yield* both((content, config) => ({
    name: `${content}-${config}-email-world`,
    content,
    config,
    artifact: "world.txt",
    by: "email",
  }));
  for (const [file, what] of [
    ["empty.txt", "empty"],
    ["every-byte.bin", "binary"],
  ])
    for (const config of ["v1", "v2"])
      yield { name: `blob-${config}-email-${what}`, config, artifact: file, by: "email" };
  for (const [name, algorithm] of Object.entries(KEYLESS_ALGORITHMS))
    for (const config of ["v1", "v2"])
      yield { name: `blob-${config}-email-${name}`, config, artifact: "hello.txt", by: "email", algorithm };

  for (const key of Object.keys(KEYS)) {
    const note = key === "ed25519" ? "cosign's own verifier does not accept its Ed25519 signatures" : undefined;
    for (const config of ["v1", "v2", "none"])
      yield { name: `blob-${config}-key-${key}`, config, artifact: "hello.txt", key, note };
    for (const config of ["v1", "v2", "none"]) {
      if (config === "v1" && ["p384", "p521", "ed25519"].includes(key)) continue; // "could not verify envelope": its Rekor v1 client hashes with SHA-256
      yield {
        name: `attestation-${config}-key-${key}`,
        content: "attestation",
        config,
        artifact: "hello.txt",
        key,
        note,
      };
    }
  }
  yield* both((content, config) => ({
    name: `${content}-${config}-key-p256-world`,
    content,
    config,
    artifact: "world.txt",
    key: "p256",
  }));

  for (const type of Object.keys(PREDICATES).filter((t) => t !== "custom")) {
    const short = type.startsWith("https:") ? "uri" : type;
    for (const config of ["v1", "v2"])
      yield {
        name: `attestation-${config}-email-${short}`,
        content: "attestation",
        config,
        artifact: "hello.txt",
        by: "email",
        type,
      };
  }
  for (const statement of Object.keys(STATEMENTS)) {
    const covers = STATEMENTS[statement].subject.map((s) => s.name).filter((n) => n !== "hello.txt");
    for (const config of ["v1", "v2"])
      yield {
        name: `attestation-${config}-email-${statement}`,
        content: "attestation",
        config,
        artifact: "hello.txt",
        by: "email",
        statement,
        ...(covers.length > 0 && { alsoCovers: covers }),
      };
  }

  for (const content of ["blob", "attestation"]) {
    yield {
      name: `${content}-v1-email-no-timestamp`,
      content,
      config: "v1-no-tsa",
      artifact: "hello.txt",
      by: "email",
      note: "integrated time only",
    };
    yield {
      name: `${content}-no-log-email`,
      content,
      config: "tsa-only",
      artifact: "hello.txt",
      by: "email",
      note: "timestamp, but no log entry",
    };
    yield {
      name: `${content}-no-log-key-p256-timestamp`,
      content,
      config: "tsa-only",
      artifact: "hello.txt",
      key: "p256",
      note: "timestamp, but no log entry",
    };
    yield {
      name: `${content}-v1-key-p256-no-timestamp`,
      content,
      config: "v1-no-tsa",
      artifact: "hello.txt",
      key: "p256",
    };
    yield {
      name: `${content}-v2-key-p256-no-timestamp`,
      content,
      config: "v2-no-tsa",
      artifact: "hello.txt",
      key: "p256",
      note: "nothing in it says when",
    };
    yield {
      name: `${content}-v1-email-two-timestamps`,
      content,
      config: "v1-tsa-twice",
      artifact: "hello.txt",
      by: "email",
      selfVerify: false,
      note: "two timestamps of one authority",
    };
  }
}

/** What an independent second stack needs: one bundle of each shape, and the same key as in the first. */
function* otherCases() {
  for (const config of ["v1", "v2"]) {
    for (const content of ["blob", "attestation"]) {
      yield { name: `${content}-${config}-email`, content, config, artifact: "hello.txt", by: "email" };
      yield { name: `${content}-${config}-github`, content, config, artifact: "hello.txt", by: "github" };
      yield { name: `${content}-${config}-key-p256`, content, config, artifact: "hello.txt", key: "p256" };
    }
  }
}

async function sign(stack, root, spec) {
  const bundle = `${spec.name}.sigstore.json`;
  const attestation = spec.content === "attestation";
  const type = spec.type ?? "custom";
  let signer = { key: `${spec.key}.key` };
  if (spec.by !== undefined) {
    const { kind, claims } = PEOPLE[spec.by];
    writeFileSync(inWork(`${spec.by}.token`), await stack.token(kind, claims));
    signer = { identityToken: `${spec.by}.token` };
  }
  // Without a trusted root cosign does not verify what it has just made, which it cannot for Ed25519.
  const selfVerify = spec.key !== "ed25519" && spec.selfVerify !== false;
  const args = signArguments({
    content: attestation ? "attestation" : "blob",
    signingConfig: `signing_config-${spec.config}.json`,
    ...(selfVerify && { trustedRoot: "trusted_root.json" }),
    signer,
    algorithm: spec.algorithm,
    ...(spec.statement !== undefined
      ? { statement: `${spec.statement}.json` }
      : attestation && { predicate: { type, file: predicateFile(type) } }),
    bundle,
    artifact: spec.artifact,
  });
  const signed = await cosign(args);
  if (!signed.ok) throw new Error(`${spec.name}: ${signed.error}`);
  copyFileSync(inWork(bundle), join(OUT, root, bundle));
  return describe(stack, root, spec, ["cosign", ...args].join(" "));
}

/** Reads the bundle back and says what is in it. Nothing of this project has a part in that. */
async function describe(stack, root, spec, command) {
  const file = `${spec.name}.sigstore.json`;
  const bundle = JSON.parse(readFileSync(inWork(file), "utf8"));
  const material = bundle.verificationMaterial;
  const entries = material.tlogEntries ?? [];
  const timestamps = material.timestampVerificationData?.rfc3161Timestamps ?? [];
  const certificate =
    material.certificate === undefined
      ? undefined
      : new X509Certificate(Buffer.from(material.certificate.rawBytes, "base64"));
  const statement =
    bundle.dsseEnvelope === undefined
      ? undefined
      : JSON.parse(Buffer.from(bundle.dsseEnvelope.payload, "base64").toString());
  const key = spec.key === undefined ? undefined : KEYS[spec.key];
  const unlogged = entries.length === 0;
  const flags = [
    ...(unlogged ? ["--insecure-ignore-tlog"] : []),
    ...(unlogged && certificate !== undefined ? ["--use-signed-timestamps"] : []),
  ];
  const algorithm =
    key === undefined
      ? (spec.algorithm ?? "ecdsa-sha2-256-nistp256")
      : spec.key === "ed25519" && unlogged && statement === undefined
        ? "ed25519"
        : key.algorithm;
  const unspecifiedDigest =
    bundle.messageSignature !== undefined && bundle.messageSignature.messageDigest?.algorithm === undefined;
  checkSignature(spec, bundle, certificate, algorithm);

  const issuer = spec.by === undefined ? undefined : issuerOf(PEOPLE[spec.by], stack.oidcUrl);
  const who =
    certificate === undefined
      ? ["--key", `${spec.key}.pub`]
      : ["--certificate-identity", PEOPLE[spec.by].identity, "--certificate-oidc-issuer", issuer];
  const verifyWith = async (...more) =>
    verdict(
      await cosign([
        statement === undefined ? "verify-blob" : "verify-blob-attestation",
        "--bundle",
        file,
        "--trusted-root",
        "trusted_root.json",
        ...who,
        ...(statement === undefined ? [] : ["--type", statement.predicateType]),
        ...flags,
        ...more,
        ...(spec.statement?.match(/sha(384|512)-only/)
          ? ["--digest", digestOf(statement).value, "--digestAlg", digestOf(statement).algorithm]
          : [spec.artifact]),
      ]),
    );
  const peerVerdicts = { cosign: await verifyWith() };
  if (key?.hash !== undefined && statement === undefined)
    peerVerdicts[`cosign --signature-digest-algorithm ${key.hash}`] = await verifyWith(
      "--signature-digest-algorithm",
      key.hash,
    );
  const go = await sigstoreGo(spec, file, certificate, issuer, unlogged, timestamps.length);
  if (go !== undefined) peerVerdicts["sigstore-go-verification"] = go.verdict;

  const proof = (entry) => entry.inclusionProof !== undefined;
  return {
    name: `${root}/${spec.name}`,
    bundle: `${root}/${file}`,
    root,
    artifact: `artifacts/${spec.artifact}`,
    ...(spec.alsoCovers !== undefined && { alsoCovers: spec.alsoCovers.map((name) => `artifacts/${name}`) }),
    content: statement === undefined ? "messageSignature" : "dsseEnvelope",
    ...(statement !== undefined && {
      predicateType: statement.predicateType,
      predicateAlias: spec.statement === undefined ? (spec.type ?? "custom") : undefined,
      statementType: statement._type,
    }),
    signer:
      certificate === undefined
        ? { kind: "public-key", key: `keys/${spec.key}.pub` }
        : {
            kind: "certificate",
            identity: PEOPLE[spec.by].identity,
            issuer,
            provider: PEOPLE[spec.by].kind,
            certificateSha256: certificate.fingerprint256.replaceAll(":", "").toLowerCase(),
            ...(go?.extensions && { extensions: go.extensions }),
          },
    algorithm,
    logEntries: entries.map((entry) => ({
      generation: entry.kindVersion.version.endsWith("2") ? 2 : 1,
      ...entry.kindVersion,
      logIndex: entry.logIndex ?? "0",
      treeSize: entry.inclusionProof.treeSize,
      ...(entry.integratedTime !== undefined && { integratedTime: entry.integratedTime }),
    })),
    timestamps: timestamps.length,
    ...(go?.timestamps && { verifiedTimestamps: go.timestamps }),
    has: {
      certificate: certificate !== undefined,
      sct: certificate !== undefined,
      promise: entries.some((e) => e.inclusionPromise !== undefined),
      proof: entries.some(proof),
      checkpoint: entries.some((e) => proof(e) && e.inclusionProof.checkpoint?.envelope !== undefined),
      timestamp: timestamps.length > 0,
    },
    expect: "accept",
    ...(flags.length > 0 && { verifyFlags: flags }),
    peers: peerVerdicts,
    ...((spec.note ?? unspecifiedDigest) && {
      note: unspecifiedDigest
        ? "its messageDigest is {}, which says nothing about the artifact; the signature is good"
        : spec.note,
    }),
    command,
  };
}

function digestOf(statement) {
  const [algorithm, value] = Object.entries(statement.subject[0].digest)[0];
  return { algorithm, value };
}

function verdict({ ok, error }) {
  return ok ? "accept" : `refuse: ${error}`;
}

/** Checks with node:crypto that the signature is of the algorithm that the manifest names, as far as Node knows it. */
function checkSignature(spec, bundle, certificate, algorithm) {
  if (algorithm === "ed25519-ph") return; // Node has no prehashed Ed25519
  const key = certificate?.publicKey ?? createPublicKey(readFileSync(inWork(`${spec.key}.pub`)));
  const envelope = bundle.dsseEnvelope;
  const payload = envelope && Buffer.from(envelope.payload, "base64");
  const data = envelope
    ? Buffer.concat([
        Buffer.from(`DSSEv1 ${envelope.payloadType.length} ${envelope.payloadType} ${payload.length} `),
        payload,
      ])
    : readFileSync(inWork(spec.artifact));
  const signature = Buffer.from(envelope ? envelope.signatures[0].sig : bundle.messageSignature.signature, "base64");
  const hash = algorithm === "ed25519" ? null : `sha${/(?:sha2-|sha)(256|384|512)/.exec(algorithm)[1]}`;
  if (!verify(hash, data, key, signature)) throw new Error(`${spec.name} is not signed with ${algorithm}`);
}

/** Asks the example verifier of sigstore-go, which also says what it read from the certificate. */
async function sigstoreGo(spec, file, certificate, issuer, unlogged, timestamps) {
  if (unlogged && timestamps === 0) return undefined; // it insists on a time
  const who =
    certificate === undefined
      ? ["-publicKey", `${spec.key}.pub`, "-requireCTlog=false"]
      : ["-expectedSAN", PEOPLE[spec.by].identity, "-expectedIssuer", issuer];
  const digest = spec.statement?.match(/sha(384|512)-only/);
  const what = digest
    ? ["-artifact-digest", sha(`sha${digest[1]}`, spec.artifact), "-artifact-digest-algorithm", `sha${digest[1]}`]
    : ["-artifact", spec.artifact];
  const args = [
    "-trustedrootJSONpath",
    "trusted_root.json",
    ...(unlogged ? ["-requireTlog=false"] : []),
    ...who,
    ...what,
    file,
  ];
  const outcome = await runProgram(join(peers.bin, "sigstore-go-verification"), args, { cwd: work, home });
  if (outcome.status !== 0) {
    const lines = outcome.stderr.trim().split("\n");
    return {
      verdict: `refuse: ${lines.find((line) => line.startsWith("panic:")) ?? lines.find((line) => line !== "")}`,
    };
  }
  const { signature, verifiedTimestamps } = JSON.parse(outcome.stdout);
  return { verdict: "accept", extensions: signature?.certificate, timestamps: verifiedTimestamps };
}

// ---------------------------------------------------------------- all of it

for (const dir of ["artifacts", "keys"]) {
  rmSync(join(OUT, dir), { recursive: true, force: true });
  mkdirSync(join(OUT, dir), { recursive: true });
}
for (const name of Object.keys(ARTIFACTS)) copyFileSync(inWork(name), join(OUT, "artifacts", name));
await makeKeys();
for (const name of Object.keys(KEYS)) copyFileSync(inWork(`${name}.pub`), join(OUT, "keys", `${name}.pub`));

const cases = [];
const roots = {};
for (const [root, specs] of Object.entries({ a: mainCases(), b: otherCases() })) {
  rmSync(join(OUT, root), { recursive: true, force: true });
  mkdirSync(join(OUT, root));
  const stack = startRealStack(peers, inWork("stack"));
  try {
    copyFileSync(stack.trustedRoot, inWork("trusted_root.json"));
    for (const [name, config] of Object.entries(signingConfigs(stack)))
      writeFileSync(inWork(`signing_config-${name}.json`), JSON.stringify(config));
    for (const spec of specs) {
      cases.push(await sign(stack, root, spec));
      process.stdout.write(`${root}/${spec.name}\n`);
    }
    copyFileSync(stack.trustedRoot, join(OUT, root, "trusted_root.json"));
    copyFileSync(stack.signingConfig, join(OUT, root, "signing_config.json"));
    copyFileSync(stack.signingConfigRekor1, join(OUT, root, "signing_config_rekor1.json"));
    cpSync(join(stack.dir, "tuf"), join(OUT, root, "tuf"), { recursive: true });
    roots[root] = {
      trustedRoot: `${root}/trusted_root.json`,
      signingConfigs: [`${root}/signing_config.json`, `${root}/signing_config_rekor1.json`],
      tuf: { repository: `${root}/tuf`, root: `${root}/tuf/1.root.json` },
    };
  } finally {
    await stack.stop();
  }
}

const versions = Object.fromEntries(
  readFileSync(join(peers.scripts, "versions"), "utf8")
    .split("\n")
    .map((line) => line.split("\t"))
    .filter(([group]) => group === "core")
    .map(([, program, module]) => [program, module]),
);
writeFileSync(
  join(OUT, "manifest.json"),
  `${JSON.stringify({ schema: 1, made: new Date().toISOString().slice(0, 10), programs: versions, roots, keys: Object.fromEntries(Object.keys(KEYS).map((name) => [`keys/${name}.pub`, { algorithm: KEYS[name].algorithm }])), cases }, null, 1)}\n`,
);
const refused = cases.filter((c) => c.peers.cosign !== "accept").map((c) => `${c.name} (cosign: ${c.peers.cosign})`);
console.log(
  `${cases.length} bundles in ${OUT}\n${refused.length > 0 ? `not accepted by cosign verify:\n  ${refused.join("\n  ")}` : ""}`,
);
process.exit(0);
