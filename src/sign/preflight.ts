/**
 * Whether a signature would succeed, found out without publishing anything.
 *
 * @module
 */

import { SigstoreError } from "../errors.ts";
import { fetchFulcioIssuers, type FulcioIssuer } from "../fulcio/client.ts";
import { serviceUrl } from "../http/redirect.ts";
import { sendRequest } from "../http/request.ts";
import { MAX_CERTIFICATE_ANSWER_BYTES } from "../limits.ts";
import { checkIdentityToken, parseIdentityToken, type IdentityToken } from "../oidc/identity-token.ts";
import { CLOCK_SKEW_TOLERANCE_MS } from "./answers.ts";
import { Deadline } from "./deadline.ts";
import { explainDisclosure, type Disclosure } from "./disclosure.ts";
import type { SelectedServices } from "./events.ts";
import type { SigningOptions } from "./options.ts";
import { SigningSession } from "./session.ts";
import { readSettings, requestOptions, type Settings } from "./settings.ts";

/** Is one thing that was tried. */
export interface PreflightCheck {
  readonly name: "services" | "identity-token" | "issuer" | "clock" | "fulcio" | "rekor" | "key";
  readonly outcome: "passed" | "failed" | "skipped";
  /** For a person. */
  readonly detail: string;
  readonly error?: SigstoreError | undefined;
}

/** Is what a preflight found. */
export interface PreflightReport {
  /** Whether nothing failed. */
  readonly ok: boolean;
  readonly checks: readonly PreflightCheck[];
  readonly services: SelectedServices | undefined;
  /** What a signature by this token or key would make public. */
  readonly disclosure: Disclosure | undefined;
  readonly notices: readonly string[];
}

/**
 * Tries everything of a signature that leaves no trace: signing config, trust, token, Fulcio's list of issuers, clock, whether logs
 * answer, and whether the key can be loaded.
 *
 * Services are asked for what they publish about themselves; the token is shown to nobody. A function that obtains tokens is called.
 *
 * @throws InputError `USAGE_INVALID` for options that are none; the reason of the signal. Everything else is in the report.
 */
export async function preflight(options: SigningOptions): Promise<PreflightReport> {
  const settings = readSettings(options);
  const checks: PreflightCheck[] = [];
  const attempt = async <T>(
    name: PreflightCheck["name"],
    work: () => Promise<readonly [T, string]>,
  ): Promise<T | undefined> => {
    try {
      const [result, detail] = await work();
      checks.push({ name, outcome: "passed", detail });
      return result;
    } catch (error) {
      settings.signal?.throwIfAborted();
      if (!(error instanceof SigstoreError)) throw error;
      checks.push({ name, outcome: "failed", detail: error.message, error });
      return undefined;
    }
  };
  const session = await attempt("services", async () => {
    const opened = await SigningSession.open(options);
    return [opened, describeServices(opened.services)];
  });
  if (session === undefined) return report(checks, undefined, undefined, []);
  try {
    const { services, notices } = session;
    const deadline = new Deadline(settings.timeoutMs, settings.signal);
    const { signer } = settings;
    const token =
      signer.kind === "keyless" ? await attempt("identity-token", () => obtainToken(signer, settings)) : undefined;
    const publicKey =
      signer.kind === "key"
        ? await attempt("key", async () => {
            const loaded =
              typeof signer.signer === "function"
                ? await signer.signer({ prehashed: services.rekor.length > 0 })
                : signer.signer;
            return [loaded.publicKey, loaded.algorithm.name];
          })
        : undefined;
    if (services.fulcio !== undefined) await tryFulcio(services.fulcio, token, settings, deadline, attempt, checks);
    for (const log of services.rekor) {
      await attempt("rekor", async () => {
        const path = log.majorApiVersion === 1 ? "/api/v1/log" : "/api/v2/checkpoint";
        await sendRequest(
          serviceUrl(log.url, path),
          { method: "GET", accept: [200], maxBytes: MAX_CERTIFICATE_ANSWER_BYTES },
          requestOptions(settings, "rekor", deadline),
        );
        return [undefined, `${log.url} answers`];
      });
    }
    const content = { kind: "artifact", digest: { algorithm: "sha256", value: new Uint8Array(32) } } as const;
    const basis =
      token !== undefined
        ? ({ kind: "identity-token", token } as const)
        : publicKey !== undefined
          ? ({ kind: "key", publicKey } as const)
          : undefined;
    const disclosure = basis && explainDisclosure({ services, signer: basis, content });
    return report(checks, services, disclosure && withoutDigest(disclosure), notices);
  } finally {
    session.close();
  }
}

type Attempt = <T>(name: PreflightCheck["name"], work: () => Promise<readonly [T, string]>) => Promise<T | undefined>;

async function obtainToken(
  signer: Extract<SigningOptions["signer"], { kind: "keyless" }>,
  { now, signal }: Settings,
): Promise<readonly [IdentityToken, string]> {
  const { identityToken, audience = "sigstore" } = signer;
  const raw = typeof identityToken === "string" ? identityToken : await identityToken({ audience, attempt: 1, signal });
  const token = parseIdentityToken(raw);
  checkIdentityToken(token, { audience, now: now() });
  return [token, `${token.subject} of ${token.issuer}, until ${token.expiresAt.toISOString()}`];
}

async function tryFulcio(
  url: string,
  token: IdentityToken | undefined,
  settings: Settings,
  deadline: Deadline,
  attempt: Attempt,
  checks: PreflightCheck[],
): Promise<void> {
  let date: string | null = null;
  const options = requestOptions(settings, "fulcio", deadline);
  const issuers = await attempt("fulcio", async () => {
    const found = await fetchFulcioIssuers(url, {
      ...options,
      fetch: async (address, init) => {
        const response = await options.fetch(address, init);
        date = response.headers.get("date");
        return response;
      },
    });
    return [found, `${url} takes tokens of ${found.length} issuers`];
  });
  if (issuers !== undefined) checks.push(compareClocks(date, settings.now()));
  if (issuers === undefined || token === undefined) {
    checks.push({ name: "issuer", outcome: "skipped", detail: "there is no list of issuers, or no token" });
    return;
  }
  const known = issuers.find((issuer) => answersFor(issuer, token.issuer));
  checks.push(
    known === undefined
      ? { name: "issuer", outcome: "failed", detail: `Fulcio takes no tokens of ${token.issuer}` }
      : token.audience.includes(known.audience)
        ? { name: "issuer", outcome: "passed", detail: `${token.issuer}, as ${known.issuerType || "an issuer"}` }
        : {
            name: "issuer",
            outcome: "failed",
            detail: `Fulcio takes tokens of ${token.issuer} for the audience ${known.audience}, not ${token.audience.join(", ")}`,
          },
  );
}

const PART_CHARACTER = /[-_a-zA-Z0-9]/;

/**
 * A `*` stands for one part of the host name or the path, without dots or slashes. It is looked for without a regular expression,
 * which a list with many `*` could keep busy for ever.
 */
function answersFor({ issuerUrl, isWildcard }: FulcioIssuer, issuer: string): boolean {
  if (!isWildcard) return issuerUrl === issuer;
  const [first = "", ...others] = issuerUrl.split("*");
  let ends = issuer.startsWith(first) ? [first.length] : [];
  for (const literal of others) {
    const next: number[] = [];
    let at = 0;
    for (const end of ends) {
      for (at = Math.max(at, end); PART_CHARACTER.test(issuer.charAt(at));) {
        at += 1;
        if (issuer.startsWith(literal, at)) next.push(at + literal.length);
      }
    }
    ends = next;
  }
  return ends.includes(issuer.length);
}

function compareClocks(date: string | null, now: Date): PreflightCheck {
  const there = Date.parse(date ?? "");
  if (Number.isNaN(there)) return { name: "clock", outcome: "skipped", detail: "Fulcio does not say what time it is" };
  const behind = Math.round((there - now.getTime()) / 1000);
  const detail =
    behind === 0 ? "agrees with Fulcio's" : `${Math.abs(behind)} s ${behind > 0 ? "behind" : "ahead of"} Fulcio's`;
  const tolerated = Math.abs(behind) * 1000 <= CLOCK_SKEW_TOLERANCE_MS;
  return { name: "clock", outcome: tolerated ? "passed" : "failed", detail };
}

/** Nothing is about to be signed, so there is no digest to tell. */
function withoutDigest({ items, notes }: Disclosure): Disclosure {
  return {
    items: items.map((item) => (item.what === "artifact-digest" ? { ...item, value: undefined } : item)),
    notes,
  };
}

function describeServices({ fulcio, rekor, timestampAuthorities }: SelectedServices): string {
  const list = [
    ...(fulcio === undefined ? [] : [fulcio]),
    ...rekor.map(({ url, majorApiVersion }) => `${url} (v${majorApiVersion})`),
    ...timestampAuthorities,
  ];
  return list.length === 0 ? "no service is used" : list.join(", ");
}

function report(
  checks: readonly PreflightCheck[],
  services: SelectedServices | undefined,
  disclosure: Disclosure | undefined,
  notices: readonly string[],
): PreflightReport {
  return { ok: checks.every(({ outcome }) => outcome !== "failed"), checks, services, disclosure, notices };
}
