import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";

import { generateSigner } from "../../src/keys/generate.ts";
import { sign, attest } from "../../src/sign/sign.ts";
import type { SigningEvent } from "../../src/sign/events.ts";
import type { SignedBundle, SigningOptions } from "../../src/sign/options.ts";
import { verify } from "../../src/verify/verifier.ts";
import { parseTrustedRoot } from "../../src/trust/trusted-root.ts";
import { outcomeOf, utf8 } from "../support/logs.ts";
import { email } from "../support/certificates.ts";
import { ALICE, issueCertificate, ISSUER, minutes, NOW } from "../support/sandbox/authorities.ts";
import { ALICE_SIGNED, ARTIFACT, makeSandbox, statementAbout } from "../support/sandbox/sandbox.ts";
import {
  FULCIO,
  identityToken,
  KEYLESS,
  makeSigningServices,
  REKOR1,
  REKOR2,
  SECRET,
  TSA,
  type SigningServices,
} from "../support/signing-services.ts";

const sandbox = makeSandbox();
const folder = mkdtempSync(join(tmpdir(), "signing-state-"));
afterAll(() => rmSync(folder, { recursive: true }));
let states = 0;
const newState = (): string => join(folder, `state-${++states}.json`);

class Killed extends Error {}

/** Signs until an event, and dies there: nothing after it runs. */
async function signUntil(
  event: number,
  services: SigningServices,
  changes: Partial<SigningOptions>,
  state: string,
  work: (options: SigningOptions, state: string) => Promise<SignedBundle> = (options, at) =>
    sign(ARTIFACT, { ...options, state: at }),
): Promise<SigningEvent | SignedBundle> {
  let count = 0;
  let last: SigningEvent | undefined;
  const observer = (told: SigningEvent): void => {
    services.events.push(told);
    count += 1;
    last = told;
    if (count === event) throw new Killed();
  };
  try {
    return await work(services.options({ ...changes, observer }), state);
  } catch (error) {
    if (!(error instanceof Killed) || last === undefined) throw error;
    return last;
  }
}

const urls = (...generations: readonly (1 | 2)[]): SigningOptions["services"] => ({
  kind: "urls",
  fulcioUrl: FULCIO,
  rekor: generations.map((generation) => ({ url: generation === 1 ? REKOR1 : REKOR2, majorApiVersion: generation })),
  timestampUrls: [TSA],
});

describe("sign with a state file", async () => {
  const key = await generateSigner();
  const cases: readonly (readonly [string, Partial<SigningOptions>, readonly (1 | 2)[]])[] = [
    ["keyless, Rekor v1", { services: urls(1) }, [1]],
    ["keyless, Rekor v2", { services: urls(2) }, [2]],
    ["keyless, both logs", { services: urls(1, 2) }, [1, 2]],
    ["a key, Rekor v1", { services: urls(1), signer: { kind: "key", signer: key } }, [1]],
  ];

  test.for(cases)("goes on after a kill at any step: %s", async ([, changes, generations]) => {
    const policy = "signer" in changes ? { keys: [{ publicKey: key.publicKey }] as const } : ALICE_SIGNED;
    for (let event = 1; ; event += 1) {
      const services = makeSigningServices(sandbox);
      const state = newState();
      const ended = await signUntil(event, services, changes, state);
      if ("bundle" in ended) return expect.fail("it ended without telling of its last step");
      if (ended.kind === "state-removed") {
        expect(event).toBeGreaterThan(12); // it was killed at every step before
        expect(existsSync(state)).toBe(false);
        return;
      }
      const kept = existsSync(state);
      const certificates = services.asked().filter((path) => path.includes("signingCert")).length;
      const signed = await sign(ARTIFACT, { ...services.options(changes), state });

      expect(signed.resumed).toBe(kept);
      expect(existsSync(state)).toBe(false);
      const trustedRoot = parseTrustedRoot(services.rootText);
      await expect(verify(signed.json, ARTIFACT, { trustedRoot, ...policy })).resolves.toMatchObject({ setAside: [] });
      expect(signed.bundle.verificationMaterial.tlogEntries).toHaveLength(generations.length);
      expect(signed.bundle.verificationMaterial.rfc3161Timestamps).toHaveLength(1);
      // A signature that exists is not made again, so no second certificate is asked for.
      if (kept) expect(services.asked().filter((path) => path.includes("signingCert"))).toHaveLength(certificates);
      // Rekor v1 has one entry in any case, Rekor v2 at most one more than is in the bundle.
      expect(services.entries.get(REKOR1) ?? []).toHaveLength(generations.includes(1) ? 1 : 0);
      if (generations.includes(2)) expect(services.entries.get(REKOR2)?.length).toBeLessThanOrEqual(2);
    }
  });

  test("goes on with an attestation", async () => {
    const services = makeSigningServices(sandbox);
    const state = newState();
    const statement = JSON.stringify(statementAbout(ARTIFACT));
    const work = (options: SigningOptions, at: string): Promise<SignedBundle> =>
      attest(statement, { ...options, state: at });
    await signUntil(9, services, {}, state, work);
    expect(existsSync(state)).toBe(true);
    const signed = await attest(statement, { ...services.options(), state });
    expect(signed.resumed).toBe(true);
    const other = JSON.stringify(statementAbout(utf8("other")));
    await signUntil(9, services, {}, state, work);
    await expect(attest(other, { ...services.options(), state })).rejects.toMatchObject({
      code: "SIGNING_STATE_MISMATCH",
    });
  });

  test("goes on after a failure of a service, and asks the others for nothing again", async () => {
    const services = makeSigningServices(sandbox);
    const state = newState();
    services.forgeries.answer = ({ url }) =>
      url.host === "rekor1.test" ? new Response("overloaded", { status: 503 }) : undefined;
    const failure = sign(ARTIFACT, { ...services.options(), state });
    await expect(failure).rejects.toMatchObject({ service: "Rekor", attempts: 3, status: 503 });
    services.requests.length = 0;
    delete services.forgeries.answer;
    await sign(ARTIFACT, { ...services.options(), state });
    expect(services.asked()).toEqual(["POST rekor1.test/api/v1/log/entries"]);
  });

  test("keeps the state until the bundle was taken", async () => {
    const services = makeSigningServices(sandbox);
    const state = newState();
    const full = (): never => {
      throw new Error("disk is full");
    };
    await expect(sign(ARTIFACT, { ...services.options(), state, deliver: full })).rejects.toThrow("disk is full");
    const taken: SignedBundle[] = [];
    const deliver = (bundle: SignedBundle): void => {
      expect(existsSync(state)).toBe(true);
      taken.push(bundle);
    };
    const signed = await sign(ARTIFACT, { ...services.options(), state, deliver });
    expect(taken).toEqual([signed]);
    expect(existsSync(state)).toBe(false);
    expect(services.entries.get(REKOR1)).toHaveLength(1);
  });

  /** Leaves a state behind: signature and timestamp are there, the log has not been asked. */
  async function interrupted(services: SigningServices, changes: Partial<SigningOptions> = {}): Promise<string> {
    const state = newState();
    const ended = await signUntil(12, services, changes, state);
    expect(ended).toMatchObject({ kind: "entry-submitting" });
    return state;
  }

  test("keeps it for its owner alone, without key, token or anything secret", async () => {
    const services = makeSigningServices(sandbox);
    const state = await interrupted(services);
    const text = readFileSync(state, "utf8");
    expect(statSync(state).mode & 0o777).toBe(0o600);
    expect(text).not.toContain(Buffer.from(SECRET).toString("base64url"));
    expect(text).not.toMatch(/PRIVATE|eyJ/);
    expect(Object.keys(JSON.parse(text) as object)).toEqual([
      "mediaType",
      "binding",
      "publicKey",
      "algorithm",
      "services",
      "detachedScts",
      "bundle",
      "timestampedBy",
      "loggedBy",
      "submittingTo",
    ]);
    expect(JSON.stringify(services.events)).not.toContain(Buffer.from(SECRET).toString("base64url"));
  });

  const otherKey = await generateSigner();
  test.for<[string, Partial<SigningOptions>, Uint8Array]>([
    ["another artifact", {}, utf8("another artifact")],
    ["other services", { services: urls(2) }, ARTIFACT],
    ["another kind of signer", { signer: { kind: "key", signer: otherKey } }, ARTIFACT],
    ["another algorithm", { signer: { ...KEYLESS, signingAlgorithm: "ecdsa-sha2-384-nistp384" } }, ARTIFACT],
  ])("refuses the state of %s", async ([, changes, artifact]) => {
    const services = makeSigningServices(sandbox);
    const state = await interrupted(services);
    const before = readFileSync(state);
    const outcome = await outcomeOf(sign(artifact, { ...services.options(changes), state }));
    expect(outcome).toBe("SIGNING_STATE_MISMATCH");
    expect(readFileSync(state)).toEqual(before); // it still belongs to somebody
  });

  test("refuses the state of another key", async () => {
    const services = makeSigningServices(sandbox);
    const signer = { kind: "key", signer: key } as const;
    const state = newState();
    await signUntil(8, services, { signer }, state);
    expect(existsSync(state)).toBe(true);
    const changes = { signer: { kind: "key", signer: otherKey } } as const;
    expect(await outcomeOf(sign(ARTIFACT, { ...services.options(changes), state }))).toBe("SIGNING_STATE_MISMATCH");
  });

  test("refuses a signature in it that another key made, whatever key it says it belongs to", async () => {
    const services = makeSigningServices(sandbox);
    const changes = { services: urls(1), signer: { kind: "key", signer: key } } as const;
    const stateOf = async (signer: typeof key): Promise<string> => {
      const state = newState();
      const ended = await signUntil(9, services, { ...changes, signer: { kind: "key", signer } }, state);
      expect(ended).toMatchObject({ kind: "entry-submitting" });
      return state;
    };
    const [own, foreign] = [await stateOf(key), await stateOf(otherKey)];
    const { binding } = JSON.parse(readFileSync(own, "utf8")) as { binding: unknown };
    writeFileSync(foreign, JSON.stringify({ ...(JSON.parse(readFileSync(foreign, "utf8")) as object), binding }));
    services.requests.length = 0;
    expect(await outcomeOf(sign(ARTIFACT, { ...services.options(changes), state: foreign }))).toBe(
      "SIGNING_STATE_MISMATCH",
    );
    expect(services.asked()).toEqual([]);
    expect((await sign(ARTIFACT, { ...services.options(changes), state: own })).resumed).toBe(true);
  });

  test.for<[string, SigningOptions["services"] | "of the options", object]>([
    ["without the log", "of the options", { rekor: [] }],
    ["without the timestamp authority", "of the options", { timestampAuthorities: [] }],
    ["without the log that is named", urls(2), { rekor: [] }],
    ["with another log than the one that is named", urls(1), { rekor: [{ url: REKOR2, majorApiVersion: 2 }] }],
    ["with another certificate authority", urls(1), { fulcio: "https://elsewhere.test" }],
  ])("refuses services in it %s", async ([, chosen, services_]) => {
    const services = makeSigningServices(sandbox);
    const changes = chosen === "of the options" ? {} : { services: chosen };
    const state = newState();
    await signUntil(9, services, changes, state);
    const edited = JSON.parse(readFileSync(state, "utf8")) as { services: object };
    writeFileSync(state, JSON.stringify({ ...edited, services: { ...edited.services, ...services_ } }));
    services.requests.length = 0;
    expect(await outcomeOf(sign(ARTIFACT, { ...services.options(changes), state }))).toBe("SIGNING_STATE_MISMATCH");
    expect(services.asked()).toEqual([]);
  });

  test("asks for consent before it makes anything more public, and not where all is public already", async () => {
    const services = makeSigningServices(sandbox);
    const asked: string[][] = [];
    const answering = (answer: boolean): Partial<SigningOptions> => ({
      consent: ({ items }) => asked.push(items.flatMap(({ logs }) => [...logs])) > 0 && answer,
    });
    const state = await interrupted(services);
    services.requests.length = 0;
    expect(await outcomeOf(sign(ARTIFACT, { ...services.options(answering(false)), state }))).toBe("CONSENT_MISSING");
    expect(services.asked()).toEqual([]);
    expect(new Set(asked.flat())).toContain(REKOR1);
    const full = (): never => {
      throw new Error("disk is full");
    };
    const undelivered = sign(ARTIFACT, { ...services.options(answering(true)), state, deliver: full });
    await expect(undelivered).rejects.toThrow("disk is full");
    expect(asked).toHaveLength(2);
    await sign(ARTIFACT, { ...services.options(answering(false)), state });
    expect(asked).toHaveLength(2);
  });

  test("refuses a certificate in it that is of somebody else than the token", async () => {
    const services = makeSigningServices(sandbox);
    const state = await interrupted(services);
    const signer = { ...KEYLESS, identityToken: identityToken({ email: "bob@example.com" }) };
    expect(await outcomeOf(sign(ARTIFACT, { ...services.options({ signer }), state }))).toBe("IDENTITY_MISMATCH");
  });

  test("compares it with a token that can be had without a login, too, and asks for no other", async () => {
    const services = makeSigningServices(sandbox);
    const state = await interrupted(services);
    const login = (): never => expect.fail("somebody was asked to log in");
    const before = services.asked().length;
    const knowing = (claims: Readonly<Record<string, unknown>>): SigningOptions => {
      const knownToken = (): Promise<string> => Promise.resolve(identityToken(claims));
      return services.options({ signer: { kind: "keyless", identityToken: login, knownToken } });
    };
    expect(await outcomeOf(sign(ARTIFACT, { ...knowing({ email: "bob@example.com" }), state }))).toBe(
      "IDENTITY_MISMATCH",
    );
    expect(services.asked()).toHaveLength(before);
    const expired = { exp: Math.floor(minutes(-60).getTime() / 1000) };
    await expect(sign(ARTIFACT, { ...knowing(expired), state })).resolves.toMatchObject({ resumed: true });
  });

  test("tells whose signature it goes on with, where nobody can be compared with it", async () => {
    const services = makeSigningServices(sandbox);
    const state = await interrupted(services);
    services.events.length = 0;
    const signer = {
      kind: "keyless",
      identityToken: (): never => expect.fail("somebody was asked to log in"),
    } as const;
    const { evidence } = await sign(ARTIFACT, { ...services.options({ signer }), state });
    expect(services.events).toContainEqual(
      expect.objectContaining({ kind: "state-resumed", subject: ALICE, issuer: ISSUER }),
    );
    expect(evidence?.signer).toMatchObject({ identity: { subjectAlternativeName: { value: ALICE } } });
  });

  type State = {
    publicKey: string;
    bundle: {
      messageSignature: { signature: string };
      verificationMaterial: { certificate: { rawBytes: string } };
    };
    timestampedBy: string[];
  };
  test.for<[string, string, (state: State) => unknown]>([
    ["that is not JSON", "SIGNING_STATE_MALFORMED", () => "{"],
    ["with an unknown field", "SIGNING_STATE_MALFORMED", (state) => ({ ...state, more: 1 })],
    ["whose lists do not fit", "SIGNING_STATE_MALFORMED", (state) => ({ ...state, timestampedBy: [] })],
    [
      "with another signature",
      "SIGNING_STATE_MISMATCH",
      (state) => {
        state.bundle.messageSignature.signature = "MEUCIQDf";
        return state;
      },
    ],
    [
      "with another certificate",
      "CERTIFICATE_KEY_MISMATCH",
      (state) => {
        const { der } = issueCertificate(sandbox.ca, { names: [email("mallory@example.com")] }, sandbox.ctLog);
        state.bundle.verificationMaterial.certificate.rawBytes = Buffer.from(der).toString("base64");
        return state;
      },
    ],
  ])("refuses one %s", async ([, code, edit]) => {
    const services = makeSigningServices(sandbox);
    const state = await interrupted(services);
    const edited = edit(JSON.parse(readFileSync(state, "utf8")) as State);
    writeFileSync(state, typeof edited === "string" ? edited : JSON.stringify(edited));
    expect(await outcomeOf(sign(ARTIFACT, { ...services.options(), state }))).toBe(code);
  });

  test("refuses an entry in it that is about another artifact, before another log is written to", async () => {
    const services = makeSigningServices(sandbox);
    const changes = { services: urls(1, 2) };
    const other = await sign(utf8("another artifact"), services.options(changes));
    const state = newState();
    expect(await signUntil(16, services, changes, state)).toMatchObject({ kind: "entry-submitting", url: REKOR2 });
    type Entries = { bundle: { verificationMaterial: { tlogEntries: unknown[] } } };
    const edited = JSON.parse(readFileSync(state, "utf8")) as Entries;
    const { tlogEntries } = (JSON.parse(other.json) as Entries["bundle"]).verificationMaterial;
    edited.bundle.verificationMaterial.tlogEntries = tlogEntries.slice(0, 1);
    writeFileSync(state, JSON.stringify(edited));
    services.requests.length = 0;
    expect(await outcomeOf(sign(ARTIFACT, { ...services.options(changes), state }))).toBe("TLOG_ENTRY_MISMATCH");
    expect(services.asked()).toEqual([]);
  });

  test("refuses a timestamp in it that is over another signature, also where nobody is trusted", async () => {
    const services = makeSigningServices(sandbox);
    const changes = { services: urls(1), trust: "unsafe-none" } as const;
    type Timed = { bundle: { verificationMaterial: { timestampVerificationData: unknown } } };
    const [state, other] = [await interrupted(services, changes), await interrupted(services, changes)];
    const edited = JSON.parse(readFileSync(state, "utf8")) as Timed;
    edited.bundle.verificationMaterial.timestampVerificationData = (
      JSON.parse(readFileSync(other, "utf8")) as Timed
    ).bundle.verificationMaterial.timestampVerificationData;
    writeFileSync(state, JSON.stringify(edited));
    services.requests.length = 0;
    const outcome = await outcomeOf(sign(ARTIFACT, { ...services.options(changes), state }));
    expect([outcome, services.asked()]).toEqual(["TIMESTAMP_IMPRINT_MISMATCH", []]);
    expect((await sign(ARTIFACT, { ...services.options(changes), state: other })).resumed).toBe(true);
  });

  test("refuses a file that others could have written, and a folder", async () => {
    const services = makeSigningServices(sandbox);
    const state = await interrupted(services);
    chmodSync(state, 0o620);
    expect(await outcomeOf(sign(ARTIFACT, { ...services.options(), state }))).toBe("SIGNING_STATE_MISMATCH");
    expect(await outcomeOf(sign(ARTIFACT, { ...services.options(), state: folder }))).toBe("SIGNING_STATE_MISMATCH");
  });

  test("tells where it cannot be kept, before anything is logged", async () => {
    const services = makeSigningServices(sandbox);
    const state = join(folder, "missing", "state.json");
    expect(await outcomeOf(sign(ARTIFACT, { ...services.options(), state }))).toBe("WRITE_FAILED");
    expect(services.asked()).not.toContain("POST rekor1.test/api/v1/log/entries");
  });

  test("follows no link that somebody laid in its place when it writes", async () => {
    const services = makeSigningServices(sandbox);
    const victim = join(folder, "victim");
    const state = newState();
    symlinkSync(victim, state); // to nowhere: there is no state yet
    await signUntil(9, services, {}, state);
    expect(existsSync(victim)).toBe(false);
  });

  test("begins anew when the certificate ended before there was a timestamp", async () => {
    const services = makeSigningServices(sandbox);
    const state = newState();
    const ended = await signUntil(8, services, {}, state);
    expect(ended).toMatchObject({ kind: "timestamp-requesting" });
    services.now = minutes(20);
    const token = identityToken({ exp: Math.floor(minutes(25).getTime() / 1000) });
    const signer = { ...KEYLESS, identityToken: token };
    const signed = await sign(ARTIFACT, { ...services.options({ signer }), state });
    expect(signed.resumed).toBe(false);
    expect(services.events.map(({ kind }) => kind)).toContain("state-discarded");
    // Nobody was asked about the old signature first.
    expect(services.asked().filter((path) => path.includes("timestamp"))).toHaveLength(1);
  });

  test("goes on with a log of Rekor v2 after the certificate ended, since the timestamp proves when it was used", async () => {
    const services = makeSigningServices(sandbox);
    const state = await interrupted(services, { services: urls(2) });
    services.now = minutes(20);
    const signed = await sign(ARTIFACT, { ...services.options({ services: urls(2) }), state });
    expect(signed.resumed).toBe(true);
  });

  test("finds the entry that Rekor v1 had made before the kill, also when the certificate has ended since", async () => {
    const services = makeSigningServices(sandbox);
    const state = newState();
    services.forgeries.answer = async ({ method, url, body }) => {
      if (method !== "POST" || url.host !== "rekor1.test") return undefined;
      delete services.forgeries.answer;
      await services.fetch(url.href, { method, body: Buffer.from(body) }); // the log takes it, and the answer is lost
      throw new Killed();
    };
    await expect(sign(ARTIFACT, { ...services.options({ retries: 0 }), state })).rejects.toMatchObject({
      code: "HTTP_REQUEST_FAILED",
    });
    services.now = minutes(20);
    const signed = await sign(ARTIFACT, { ...services.options(), state });
    expect(signed.resumed).toBe(true);
    expect(services.entries.get(REKOR1)).toHaveLength(1);
    expect(signed.evidence?.logEntries[0]?.integratedTime).toEqual(NOW);
  });

  test("begins anew when it turns out that Rekor v1 had not made the entry in time", async () => {
    const services = makeSigningServices(sandbox);
    const state = await interrupted(services);
    services.now = minutes(20);
    const signer = { ...KEYLESS, identityToken: identityToken({ exp: Math.floor(minutes(25).getTime() / 1000) }) };
    const signed = await sign(ARTIFACT, { ...services.options({ signer }), state });
    expect(signed.resumed).toBe(false);
    expect(existsSync(state)).toBe(false);
  });
});
