import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";

import type { Digest } from "../../src/crypto/digest.ts";
import { generateSigner } from "../../src/keys/generate.ts";
import { createLocalSigner } from "../../src/keys/local-signer.ts";
import type { Signer } from "../../src/keys/signer.ts";
import { attest, sign } from "../../src/sign/sign.ts";
import { SigningSession } from "../../src/sign/session.ts";
import type { Disclosure } from "../../src/sign/disclosure.ts";
import type { SigningOptions } from "../../src/sign/options.ts";
import { parseTrustedRoot } from "../../src/trust/trusted-root.ts";
import { verify } from "../../src/verify/verifier.ts";
import { spkiOf } from "../support/certificates.ts";
import { outcomeOf, utf8 } from "../support/logs.ts";
import { issueCertificate, minutes } from "../support/sandbox/authorities.ts";
import { ALICE_SIGNED, ARTIFACT, makeSandbox, statementAbout } from "../support/sandbox/sandbox.ts";
import {
  FULCIO,
  identityToken,
  KEYLESS,
  makeSigningServices,
  REKOR1,
  REKOR2,
  TSA,
} from "../support/signing-services.ts";

const sandbox = makeSandbox();
const trustedRoot = parseTrustedRoot(makeSigningServices(sandbox).rootText);
const sha = (algorithm: string, data: Uint8Array): Uint8Array =>
  new Uint8Array(createHash(algorithm).update(data).digest());

const urls = (...generations: readonly (1 | 2)[]): SigningOptions["services"] => ({
  kind: "urls",
  fulcioUrl: FULCIO,
  rekor: generations.map((generation) => ({ url: generation === 1 ? REKOR1 : REKOR2, majorApiVersion: generation })),
  timestampUrls: [TSA],
});
const NOTHING = { kind: "urls" } as const;

describe("the artifact of a signature", () => {
  test("is streamed and hashed, in pieces that use one buffer again", async () => {
    const piece = new Uint8Array(64 * 1024);
    const whole = createHash("sha256");
    async function* stream(): AsyncGenerator<Uint8Array> {
      for (let count = 0; count < 64; count += 1) {
        piece.set(randomBytes(32), count);
        whole.update(piece);
        yield await Promise.resolve(piece);
      }
    }
    const services = makeSigningServices(sandbox);
    const signed = await sign(stream(), services.options());
    const value = new Uint8Array(whole.digest());
    expect(signed.digest).toEqual({ algorithm: "sha256", value });
    const digests = [{ algorithm: "sha256", value }] as const;
    await expect(verify(signed.json, { digests }, { trustedRoot, ...ALICE_SIGNED })).resolves.toBeDefined();
  });

  test("does not grow the memory of the process with its size", async () => {
    const piece = Buffer.alloc(1024 * 1024, 7);
    let most = 0;
    async function* stream(): AsyncGenerator<Uint8Array> {
      for (let count = 0; count < 256; count += 1) {
        yield await Promise.resolve(piece);
        most = Math.max(most, process.memoryUsage().arrayBuffers);
      }
    }
    const before = process.memoryUsage().arrayBuffers;
    await sign(stream(), makeSigningServices(sandbox).options());
    expect(most - before).toBeLessThan(32 * 1024 * 1024); // of 256
  });

  test("may be a file, a stream of the web, or a digest", async () => {
    const folder = mkdtempSync(join(tmpdir(), "artifact-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, "file");
    writeFileSync(path, ARTIFACT);
    const digest: Digest = { algorithm: "sha256", value: sha("sha256", ARTIFACT) };
    const web = new Response(Buffer.from(ARTIFACT)).body ?? expect.fail();
    for (const artifact of [{ path }, web, { digest }]) {
      const { json } = await sign(artifact, makeSigningServices(sandbox).options());
      await expect(verify(json, ARTIFACT, { trustedRoot, ...ALICE_SIGNED })).resolves.toBeDefined();
    }
  });

  test("is hashed with the hash of the key's algorithm", async () => {
    const signer = { ...KEYLESS, signingAlgorithm: "ecdsa-sha2-384-nistp384" };
    const services = makeSigningServices(sandbox);
    for (const generation of [1, 2] as const) {
      const { bundle, json } = await sign(ARTIFACT, services.options({ signer, services: urls(generation) }));
      expect(bundle.content).toMatchObject({ messageDigest: { algorithm: "sha384", digest: sha("sha384", ARTIFACT) } });
      await expect(verify(json, ARTIFACT, { trustedRoot, ...ALICE_SIGNED })).resolves.toMatchObject({
        signatureAlgorithm: "ecdsa-sha2-384-nistp384",
      });
    }
  });

  const SHA256: Digest = { algorithm: "sha256", value: sha("sha256", ARTIFACT) };
  test.for<[string, string, Digest, string]>([
    [
      "of another hash than the key signs",
      "DIGEST_ALGORITHM_MISMATCH",
      { algorithm: "sha384", value: sha("sha384", ARTIFACT) },
      "ecdsa-sha2-256-nistp256",
    ],
    [
      "of another length",
      "USAGE_INVALID",
      { algorithm: "sha256", value: new Uint8Array(31) },
      "ecdsa-sha2-256-nistp256",
    ],
    ["for a key that signs the artifact itself", "DIGEST_ONLY_UNSUPPORTED", SHA256, "ed25519"],
  ])("is refused as a digest %s", async ([, code, digest, algorithm]) => {
    const signer = { kind: "key", signer: await generateSigner(algorithm) } as const;
    const options = makeSigningServices(sandbox).options({ signer, services: NOTHING });
    expect(await outcomeOf(sign({ digest }, options))).toBe(code);
  });

  test("is refused as a digest for a key whose keeper wants the artifact", async () => {
    const local = await generateSigner();
    const { publicKey, algorithm } = local;
    const whole: Signer = { publicKey, algorithm, sign: (message) => local.sign(message) };
    const options = makeSigningServices(sandbox).options({ signer: { kind: "key", signer: whole }, services: NOTHING });
    expect(await outcomeOf(sign({ digest: SHA256 }, options))).toBe("DIGEST_ONLY_UNSUPPORTED");
    await expect(sign(ARTIFACT, options)).resolves.toMatchObject({ digest: SHA256 });
  });

  test("ends with the signal while it is streamed", async () => {
    const stop = new AbortController();
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (let count = 0; ; count += 1) {
        if (count === 3) stop.abort(new Error("enough"));
        yield await Promise.resolve(new Uint8Array(1024));
      }
    }
    const services = makeSigningServices(sandbox);
    await expect(sign(endless(), services.options({ signal: stop.signal }))).rejects.toThrow("enough");
    expect(services.asked()).toEqual([]);
  });
});

describe("an Ed25519 key", () => {
  const { privateKey } = generateKeyPairSync("ed25519");
  const pure = createLocalSigner(privateKey);
  const prehashed = createLocalSigner(privateKey, { prehashed: true });
  const load = (request: { readonly prehashed: boolean }): Promise<Signer> =>
    Promise.resolve(request.prehashed ? prehashed : pure);
  const policy = { keys: [{ publicKey: pure.publicKey }] } as const;

  test.for([
    ["a file without a log", "file", [], "ed25519"],
    ["a file with Rekor v1", "file", [1], "ed25519-ph"],
    ["a file with Rekor v2", "file", [2], "ed25519-ph"],
    ["a statement with Rekor v1", "statement", [1], "ed25519"],
    ["a statement with Rekor v2", "statement", [2], "ed25519-ph"],
  ] as const)("signs %s as it must", async ([, what, generations, algorithm]) => {
    const services = makeSigningServices(sandbox);
    const options = services.options({ signer: { kind: "key", signer: load }, services: urls(...generations) });
    const { json } =
      what === "file" ? await sign(ARTIFACT, options) : await attest(JSON.stringify(statementAbout(ARTIFACT)), options);
    const thresholds = { tlog: generations.length };
    await expect(verify(json, ARTIFACT, { trustedRoot, thresholds, ...policy })).resolves.toMatchObject({
      signatureAlgorithm: algorithm,
    });
  });

  test("is refused before anything is signed where a log would not take it", async () => {
    const services = makeSigningServices(sandbox);
    const statement = JSON.stringify(statementAbout(ARTIFACT));
    const options = (signer: Signer, ...generations: readonly (1 | 2)[]): SigningOptions =>
      services.options({ signer: { kind: "key", signer }, services: urls(...generations) });
    expect(await outcomeOf(sign(ARTIFACT, options(pure, 1)))).toBe("USAGE_INVALID");
    expect(await outcomeOf(attest(statement, options(prehashed, 1)))).toBe("USAGE_INVALID");
    expect(await outcomeOf(attest(statement, options(pure, 2)))).toBe("USAGE_INVALID");
    const both = services.options({ signer: { kind: "key", signer: load }, services: urls(1, 2) });
    expect(await outcomeOf(attest(statement, both))).toBe("USAGE_INVALID");
    expect(services.asked()).toEqual([]);
  });

  test("is loaded twice at most in a session, one after the other; another key once", async () => {
    const loads: boolean[] = [];
    let loading = 0;
    const counted =
      (inner: typeof load) =>
      async (request: { readonly prehashed: boolean }): Promise<Signer> => {
        loads.push(request.prehashed);
        expect(++loading).toBe(1);
        const signer = await inner(request);
        loading -= 1;
        return signer;
      };
    const services = makeSigningServices(sandbox);
    const work = async (inner: typeof load): Promise<void> => {
      const signer = { kind: "key", signer: counted(inner) } as const;
      using session = await SigningSession.open(services.options({ signer, services: urls(1) }));
      const statement = JSON.stringify(statementAbout(ARTIFACT));
      await Promise.all([session.sign(ARTIFACT), session.attest(statement), session.sign(utf8("more"))]);
    };
    await work(load);
    expect(loads).toEqual([true, false]);
    loads.length = 0;
    const other = await generateSigner();
    await work(() => Promise.resolve(other));
    expect(loads).toEqual([true]);
  });

  test("has no certificate of Fulcio for the prehashed algorithm", async () => {
    const signer = { ...KEYLESS, signingAlgorithm: "ed25519-ph" };
    expect(await outcomeOf(sign(ARTIFACT, makeSigningServices(sandbox).options({ signer })))).toBe("USAGE_INVALID");
  });
});

describe("a key that Rekor v1 would not verify with", () => {
  test.for([
    ["P-384 over a statement", "ecdsa-sha2-384-nistp384", "statement"],
    ["P-521 over a statement", "ecdsa-sha2-512-nistp521", "statement"],
    ["RSA-PSS over a statement", "rsa-sign-pss-2048-sha256", "statement"],
    ["RSA-PSS over a file", "rsa-sign-pss-2048-sha256", "file"],
    ["ML-DSA over a file", "ml-dsa-44", "file"],
  ] as const)("is refused before anything is signed: %s", async ([, algorithm, what]) => {
    const signer = { kind: "key", signer: await generateSigner(algorithm) } as const;
    const services = makeSigningServices(sandbox);
    const options = services.options({ signer, services: urls(1) });
    const work = what === "file" ? sign(ARTIFACT, options) : attest(JSON.stringify(statementAbout(ARTIFACT)), options);
    expect([await outcomeOf(work), services.asked()]).toEqual(["ALGORITHM_UNSUPPORTED", []]);
  });
});

describe("the address of Fulcio", () => {
  test.for([
    ["http://fulcio.test", 1],
    ["https://fulcio.test", 0],
    ["http://127.0.0.1:5555", 0],
    ["http://127.0.0.1.fulcio.test", 1],
  ] as const)("%s: %s notices that the token is not encrypted", async ([fulcioUrl, count]) => {
    const choice = { kind: "urls", fulcioUrl, timestampUrls: [TSA] } as const;
    using session = await SigningSession.open(makeSigningServices(sandbox).options({ services: choice }));
    expect(session.notices.filter((text) => text.includes("unencrypted"))).toHaveLength(count);
  });
});

describe("a statement", () => {
  test("is signed as it was given, or not at all: what cannot be encoded is not replaced", async () => {
    const services = makeSigningServices(sandbox);
    const statement = JSON.stringify({ ...statementAbout(ARTIFACT), note: "?" }).replace('"?"', '"\ud800"');
    expect(await outcomeOf(attest(statement, services.options()))).toBe("STATEMENT_MALFORMED");
    expect(services.asked()).toEqual([]);
  });
});

describe("a key with a certificate of its own", async () => {
  const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const signer = createLocalSigner(keys.privateKey);
  const issued = issueCertificate(
    sandbox.ca,
    { keys, ctLogs: [], issuer: null, notAfter: minutes(10_000) },
    sandbox.ctLog,
  );
  const pemOf = (...ders: readonly Uint8Array[]): string =>
    ders
      .map((one) => `-----BEGIN CERTIFICATE-----\n${Buffer.from(one).toString("base64")}\n-----END CERTIFICATE-----\n`)
      .join("");
  const certificate = pemOf(issued.der);
  const { root, intermediate } = sandbox.ca;
  const certificateChain = pemOf(intermediate.der, root.der);
  const other = await generateSigner();

  test("puts it into the bundle, given as PEM or DER", async () => {
    for (const given of [certificate, issued.der, utf8(certificate)]) {
      const options = makeSigningServices(sandbox).options({
        signer: { kind: "key", signer, certificate: given },
        services: urls(1),
      });
      const { bundle, evidence } = await sign(ARTIFACT, options);
      expect(bundle.verificationMaterial.content).toEqual({
        kind: "certificate",
        certificate: issued.der,
        fromChain: false,
      });
      expect(evidence?.signer.kind).toBe("certificate");
    }
  });

  test("puts the chain beside it without its root", async () => {
    const choice = { kind: "key", signer, certificate, certificateChain } as const;
    const services = makeSigningServices(sandbox);
    const { bundle } = await sign(ARTIFACT, services.options({ signer: choice, services: urls(1) }));
    expect(bundle.verificationMaterial.content).toEqual({
      kind: "x509CertificateChain",
      certificates: [issued.der, intermediate.der],
    });
    const alone = { ...choice, certificateChain: pemOf(root.der) };
    expect(await outcomeOf(sign(ARTIFACT, services.options({ signer: alone, services: urls(1) })))).toBe(
      "CERTIFICATE_ISSUER_UNKNOWN",
    );
  });

  test("needs no time but the clock's where nobody else gives one", async () => {
    const choice = { kind: "key", signer, certificate } as const;
    const services = makeSigningServices(sandbox);
    const { evidence } = await sign(ARTIFACT, services.options({ signer: choice, services: NOTHING }));
    expect(evidence?.signer.kind).toBe("certificate");
    services.now = minutes(20_000);
    expect(await outcomeOf(sign(ARTIFACT, services.options({ signer: choice, services: NOTHING })))).toBe(
      "CERTIFICATE_NOT_VALID_AT_TIME",
    );
  });

  test.for([
    ["is for another key", "CERTIFICATE_KEY_MISMATCH", { signer: other, certificate }],
    ["is none", "PEM_MALFORMED", { signer, certificate: "none" }],
    ["is missing beside its chain", "USAGE_INVALID", { signer, certificateChain }],
    [
      "was issued by nobody of the chain",
      "CERTIFICATE_ISSUER_UNKNOWN",
      { signer, certificate, certificateChain: pemOf(makeSandbox().ca.root.der) },
    ],
  ] as const)("is refused when the certificate %s", async ([, code, choice]) => {
    const services = makeSigningServices(sandbox);
    const outcome = await outcomeOf(
      sign(ARTIFACT, services.options({ signer: { kind: "key", ...choice }, services: urls(1) })),
    );
    expect([outcome, services.asked()]).toEqual([code, []]);
  });

  test("is not mistaken for the key of somebody else", () => {
    expect(spkiOf(keys)).toEqual(signer.publicKey.spki);
  });
});

describe("consent", () => {
  const ask = (answer: boolean | Promise<boolean>, asked: Disclosure[]) => (disclosure: Disclosure) => {
    asked.push(disclosure);
    return answer;
  };

  test("is asked for before the certificate, and told what will be public", async () => {
    const services = makeSigningServices(sandbox);
    const asked: Disclosure[] = [];
    expect(await outcomeOf(sign(ARTIFACT, services.options({ consent: ask(false, asked) })))).toBe("CONSENT_MISSING");
    expect(services.asked()).toEqual([]);
    expect(asked).toHaveLength(1);
    expect(asked[0]?.items.map(({ what }) => what)).toContain("certificate-identity");
    await sign(ARTIFACT, services.options({ consent: ask(Promise.resolve(true), asked) }));
  });

  test("is not asked for where nothing becomes public", async () => {
    const asked: Disclosure[] = [];
    const options = { signer: { kind: "key", signer: await generateSigner() }, consent: ask(false, asked) } as const;
    const services = makeSigningServices(sandbox);
    await sign(ARTIFACT, services.options({ ...options, services: { kind: "urls", timestampUrls: [TSA] } }));
    expect(asked).toEqual([]);
    expect(await outcomeOf(sign(ARTIFACT, services.options({ ...options, services: urls(1) })))).toBe(
      "CONSENT_MISSING",
    );
    expect(services.asked().filter((path) => path.includes("rekor"))).toEqual([]);
  });

  test("is asked for each artifact, one question at a time", async () => {
    const services = makeSigningServices(sandbox);
    let open = 0;
    let questions = 0;
    const consent = async (): Promise<boolean> => {
      expect(++open).toBe(1);
      await Promise.resolve();
      open -= 1;
      return ++questions !== 2;
    };
    using session = await SigningSession.open(services.options({ consent }));
    const outcomes = await session.signMany([utf8("a"), utf8("b"), utf8("c")], { concurrency: 3 });
    const failed = outcomes.filter((outcome) => outcome.kind === "failed");
    expect(failed).toEqual([
      expect.objectContaining({ error: expect.objectContaining({ code: "CONSENT_MISSING" }) as unknown }),
    ]);
  });
});

describe("options", () => {
  test.for([
    ["unknown", { consnet: () => false }],
    ["a timeout of nothing", { timeoutMs: 0 }],
    ["a timeout that no timer can wait", { timeoutMs: 2 ** 31 }],
    ["fewer than no retries", { retries: -1 }],
    ["an observer that is none", { observer: 1 }],
    ["a consent that is none", { consent: true }],
    ["a negative number of SCTs", { sctThreshold: -1 }],
    ["a signer of no kind", { signer: {} }],
  ] as const)("that are %s are refused", async ([, changes]) => {
    const services = makeSigningServices(sandbox);
    expect(await outcomeOf(sign(ARTIFACT, services.options(changes as object)))).toBe("USAGE_INVALID");
  });

  test.for([
    ["IDENTITY_TOKEN_MALFORMED", "no token"],
    ["IDENTITY_TOKEN_EXPIRED", identityToken({ exp: 1 })],
    ["IDENTITY_TOKEN_AUDIENCE_MISMATCH", identityToken({ aud: "somebody" })],
  ] as const)("that hold a token which is %s send it nowhere", async ([code, token]) => {
    const services = makeSigningServices(sandbox);
    const signer = { ...KEYLESS, identityToken: token };
    expect(await outcomeOf(sign(ARTIFACT, services.options({ signer })))).toBe(code);
    expect(services.asked()).toEqual([]);
  });

  test("set one deadline for all services together", async () => {
    const services = makeSigningServices(sandbox);
    services.forgeries.answer = ({ url }) =>
      url.host === "tsa.test" ? Promise.withResolvers<never>().promise : undefined;
    const failure = sign(ARTIFACT, services.options({ timeoutMs: 300 }));
    await expect(failure).rejects.toMatchObject({ code: "HTTP_TIMEOUT", service: "timestamp authority" });
    expect(services.asked()).not.toContain("POST rekor1.test/api/v1/log/entries");
  });

  test("set the deadline also for a key that does not answer", async () => {
    const { publicKey, algorithm } = await generateSigner();
    const stuck: Signer = { publicKey, algorithm, sign: () => Promise.withResolvers<never>().promise };
    const services = makeSigningServices(sandbox);
    const options = services.options({ signer: { kind: "key", signer: stuck }, services: NOTHING, timeoutMs: 50 });
    await expect(sign(ARTIFACT, options)).rejects.toMatchObject({ code: "HTTP_TIMEOUT" });
  });

  test("that name a key which signs something else show its signature to nobody", async () => {
    const [mine, other] = [await generateSigner(), await generateSigner()];
    const wrong: Signer = { ...mine, sign: (message) => other.sign(message) };
    const services = makeSigningServices(sandbox);
    const options = services.options({ signer: { kind: "key", signer: wrong }, services: urls(1) });
    expect([await outcomeOf(sign(ARTIFACT, options)), services.asked()]).toEqual(["SIGNATURE_INVALID", []]);
  });
});
