import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";

import type { SigningEvent } from "../../src/sign/events.ts";
import type { SigningOptions } from "../../src/sign/options.ts";
import { SigningSession } from "../../src/sign/session.ts";
import { utf8 } from "../support/logs.ts";
import { minutes } from "../support/sandbox/authorities.ts";
import { makeSandbox, statementAbout } from "../support/sandbox/sandbox.ts";
import {
  identityToken,
  KEYLESS,
  makeSigningServices,
  REKOR1,
  type SigningServices,
} from "../support/signing-services.ts";

const sandbox = makeSandbox();
const artifacts = (count: number): readonly Uint8Array[] =>
  Array.from({ length: count }, (_, index) => utf8(`artifact ${index}`));
const countOf = (services: SigningServices, path: string): number =>
  services.asked().filter((asked) => asked.includes(path)).length;
const tokenUntil = (time: Date, claims = {}): string =>
  identityToken({ exp: Math.floor(time.getTime() / 1000), ...claims });

describe("SigningSession.signMany", () => {
  test("signs many artifacts with one token and one certificate", async () => {
    const services = makeSigningServices(sandbox);
    let tokens = 0;
    const signer = {
      ...KEYLESS,
      identityToken: () => {
        tokens += 1;
        return Promise.resolve(identityToken());
      },
    };
    using session = await SigningSession.open(services.options({ signer }));
    const outcomes = await session.signMany(artifacts(12), { concurrency: 5 });
    expect(outcomes.map(({ kind }) => kind)).toEqual(Array(12).fill("signed"));
    expect(outcomes.map(({ index }) => index)).toEqual([...Array(12).keys()]);
    expect([tokens, countOf(services, "signingCert"), countOf(services, "timestamp")]).toEqual([1, 1, 12]);
    expect(services.entries.get(REKOR1)).toHaveLength(12);
    const certificates = new Set(outcomes.map((outcome) => outcome.kind === "signed" && outcome.signed.certificatePem));
    expect(certificates.size).toBe(1);
  });

  test("attests many statements the same way", async () => {
    const services = makeSigningServices(sandbox);
    using session = await SigningSession.open(services.options());
    const statements = artifacts(3).map((artifact) => JSON.stringify(statementAbout(artifact)));
    const outcomes = await session.attestMany(statements);
    expect(outcomes.map(({ kind }) => kind)).toEqual(["signed", "signed", "signed"]);
    expect(countOf(services, "signingCert")).toBe(1);
  });

  test("has no more under way than it may", async () => {
    const services = makeSigningServices(sandbox);
    let running = 0;
    let most = 0;
    const three = Promise.withResolvers<undefined>();
    services.forgeries.answer = async ({ url }) => {
      if (url.host !== "tsa.test") return undefined;
      most = Math.max(most, ++running);
      if (running === 3) three.resolve(undefined);
      await three.promise; // so that they are under way at once, however fast each is
      await setImmediate();
      running -= 1;
      return undefined;
    };
    using session = await SigningSession.open(services.options());
    await session.signMany(artifacts(8), { concurrency: 3 });
    expect(most).toBe(3);
    for (const concurrency of [0, 17, 1.5])
      await expect(session.signMany([], { concurrency })).rejects.toMatchObject({ code: "USAGE_INVALID" });
  });

  test("keeps what is finished when one fails", async () => {
    const services = makeSigningServices(sandbox);
    let stamps = 0;
    services.forgeries.answer = ({ url }) =>
      url.host === "tsa.test" && ++stamps === 2 ? new Response("no", { status: 400 }) : undefined;
    using session = await SigningSession.open(services.options());
    const missing = { path: "/nowhere/to/be/found" };
    const outcomes = await session.signMany([utf8("a"), utf8("b"), missing, utf8("c")], { concurrency: 1 });
    expect(outcomes.map((outcome) => (outcome.kind === "signed" ? "signed" : outcome.error))).toEqual([
      "signed",
      expect.objectContaining({ code: "TIMESTAMP_REQUEST_REFUSED" }),
      expect.objectContaining({ code: "FILE_NOT_FOUND" }),
      "signed",
    ]);
  });

  test("tries no further where no certificate is to be had", async () => {
    const services = makeSigningServices(sandbox);
    services.forgeries.answer = ({ url }) =>
      url.host === "fulcio.test" ? new Response("", { status: 400 }) : undefined;
    using session = await SigningSession.open(services.options());
    const outcomes = await session.signMany(artifacts(5), { concurrency: 1 });
    expect(outcomes.map((outcome) => outcome.kind === "failed" && outcome.error)).toEqual(
      Array(5).fill(expect.objectContaining({ code: "FULCIO_REQUEST_REFUSED" })),
    );
    expect(countOf(services, "signingCert")).toBe(1);
    delete services.forgeries.answer;
    expect((await session.signMany(artifacts(1))).map(({ kind }) => kind)).toEqual(["signed"]);
  });

  /** A clock that moves on by minutes with each signature. */
  const slowly = (services: SigningServices, step: number): Partial<SigningOptions> => ({
    observer: (event: SigningEvent) => {
      services.events.push(event);
      if (event.kind === "bundle-verified") services.now = new Date(services.now.getTime() + step * 60_000);
    },
  });

  test("replaces a certificate that is about to end, with a new token when the old one has ended too", async () => {
    const services = makeSigningServices(sandbox);
    const attempts: number[] = [];
    const signer = {
      ...KEYLESS,
      identityToken: ({ attempt }: { readonly attempt: number }) => {
        attempts.push(attempt);
        return Promise.resolve(tokenUntil(new Date(services.now.getTime() + 5 * 60_000)));
      },
    };
    using session = await SigningSession.open(services.options({ signer, ...slowly(services, 3) }));
    const outcomes = await session.signMany(artifacts(7), { concurrency: 1 });
    expect(outcomes.map(({ kind }) => kind)).toEqual(Array(7).fill("signed"));
    // Signatures at minutes 0, 3, 6 | 9, 12, 15 | 18: a certificate lives ten, and is not used in its last one.
    expect([countOf(services, "signingCert"), attempts]).toEqual([3, [1, 2, 3]]);
  });

  test("uses a token again that is still good", async () => {
    const services = makeSigningServices(sandbox);
    let tokens = 0;
    const signer = {
      ...KEYLESS,
      identityToken: () => {
        tokens += 1;
        return Promise.resolve(tokenUntil(minutes(60)));
      },
    };
    using session = await SigningSession.open(services.options({ signer, ...slowly(services, 6) }));
    await session.signMany(artifacts(4), { concurrency: 1 });
    expect([countOf(services, "signingCert"), tokens]).toEqual([2, 1]);
  });

  test("says how many are finished when a fixed token has ended", async () => {
    const services = makeSigningServices(sandbox);
    using session = await SigningSession.open(services.options(slowly(services, 4)));
    const outcomes = await session.signMany(artifacts(5), { concurrency: 1 });
    expect(outcomes.map(({ kind }) => kind)).toEqual(["signed", "signed", "signed", "failed", "failed"]);
    const failed = outcomes.find((outcome) => outcome.kind === "failed");
    expect(failed?.error).toMatchObject({
      code: "IDENTITY_TOKEN_EXPIRED",
      message: expect.stringContaining("3 signatures were finished") as string,
    });
  });

  test("refuses a second token of somebody else", async () => {
    const services = makeSigningServices(sandbox);
    const signer = {
      ...KEYLESS,
      identityToken: ({ attempt }: { readonly attempt: number }) =>
        Promise.resolve(
          tokenUntil(new Date(services.now.getTime() + 60_000), attempt === 1 ? {} : { email: "mallory@example.com" }),
        ),
    };
    using session = await SigningSession.open(services.options({ signer, ...slowly(services, 20) }));
    const outcomes = await session.signMany(artifacts(2), { concurrency: 1 });
    expect(outcomes[1]).toMatchObject({ kind: "failed", error: { code: "IDENTITY_MISMATCH" } });
    expect(countOf(services, "signingCert")).toBe(1);
  });

  test("ends with the signal", async () => {
    const services = makeSigningServices(sandbox);
    const stop = new AbortController();
    const reason = new Error("enough");
    const observer = ({ kind }: SigningEvent): void => void (kind === "bundle-verified" && stop.abort(reason));
    using session = await SigningSession.open(services.options({ observer }));
    const outcomes = await session.signMany(artifacts(3), { concurrency: 1, signal: stop.signal });
    expect(outcomes.map((outcome) => (outcome.kind === "failed" ? outcome.error : outcome.kind))).toEqual([
      "signed",
      reason,
      reason,
    ]);
  });

  test("lets the others go on when the one that asked for the certificate gives up", async () => {
    const services = makeSigningServices(sandbox);
    const stop = new AbortController();
    const arrived = Promise.withResolvers<undefined>();
    const gone = Promise.withResolvers<undefined>();
    let asked = 0;
    services.forgeries.answer = async ({ url }) => {
      if (url.host !== "fulcio.test" || ++asked > 1) return undefined;
      arrived.resolve(undefined);
      await gone.promise;
      throw new Error("connection closed");
    };
    using session = await SigningSession.open(services.options({ retries: 0 }));
    const first = session.sign(utf8("a"), { signal: stop.signal });
    await arrived.promise;
    const second = session.sign(utf8("b"));
    for (let turn = 0; turn < 20; turn += 1) await setImmediate(); // it waits for the certificate as well
    stop.abort(new Error("enough"));
    gone.resolve(undefined);
    await expect(first).rejects.toThrow("enough");
    await expect(second).resolves.toMatchObject({ resumed: false });
    expect(asked).toBe(2);
  });

  test("is over when the session is closed", async () => {
    const session = await SigningSession.open(makeSigningServices(sandbox).options());
    session.close();
    await expect(session.sign(utf8("a"))).rejects.toMatchObject({ code: "USAGE_INVALID" });
  });
});
