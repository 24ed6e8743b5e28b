/**
 * `--explain` of the signing commands: who would sign, with which services, and what would become public. Nothing is signed, and
 * no service is shown anything.
 *
 * @module
 */

import { defaultCryptoProvider } from "../crypto/provider.ts";
import { formatDigest, type HashAlgorithm } from "../crypto/digest.ts";
import { encodeHex } from "../encoding/hex.ts";
import type { JsonObject } from "../encoding/json.ts";
import { printableJson, sanitize } from "../encoding/printable.ts";
import { InputError } from "../errors.ts";
import { parseSigningAlgorithm, DEFAULT_SIGNING_ALGORITHM } from "../keys/signing-algorithm.ts";
import { describeIdentityToken } from "../oidc/describe-token.ts";
import { getIdentityToken } from "../oidc/get-identity-token.ts";
import type { IdentityToken } from "../oidc/identity-token.ts";
import { disclosureToText, explainDisclosure, type Disclosure, type DisclosureRequest } from "../sign/disclosure.ts";
import type { SelectedServices } from "../sign/events.ts";
import { Services } from "../sign/services.ts";
import { warn, type Context } from "./context.ts";
import type { Flags } from "./flags.ts";
import type { Described, KeyReader, SigningRequest } from "./signing.ts";
import type { TokenSource } from "./signing-identity.ts";
import type { ChosenServices } from "./signing-services.ts";

/** Holds what is explained. */
export interface ExplanationRequest {
  readonly request: SigningRequest;
  readonly chosen: ChosenServices;
  readonly tokens: TokenSource;
  readonly keyless: boolean;
  readonly key: KeyReader;
}

/**
 * Writes the explanation to standard output, as text or JSON.
 *
 * @throws SigstoreError of any kind.
 */
export async function explainSigning(
  { request, chosen, tokens, keyless, key }: ExplanationRequest,
  flags: Flags,
  context: Context,
): Promise<number> {
  // The same choice as for a signature; which of several services it falls on may differ.
  const services = await Services.choose(chosen.services, { keyless, now: context.now, random: Math.random });
  for (const text of services.notices) warn(context, text);
  const { selected } = services;
  const token = keyless ? await findToken(tokens) : undefined;
  // With --issue-certificate the key is there, and a certificate names the signer.
  const held = flags.has("key") ? await key.load(!keyless && selected.rekor.length > 0) : undefined;
  const signer = keyless ? undefined : held;
  const named = parseSigningAlgorithm(flags.string("signing-algorithm") ?? DEFAULT_SIGNING_ALGORITHM);
  const hash: HashAlgorithm = (held?.algorithm ?? named).hash ?? "sha256";
  const described = await request.describe(hash);
  const disclosed: DisclosureRequest["signer"] | undefined =
    signer === undefined ? token && { kind: "identity-token", token } : { kind: "key", publicKey: signer.publicKey };
  const disclosures = described.map(({ content }) =>
    disclosed === undefined ? undefined : explainDisclosure({ services: selected, signer: disclosed, content }),
  );
  const keyId =
    signer === undefined ? undefined : encodeHex(await defaultCryptoProvider().digest("sha256", signer.publicKey.spki));
  const facts = { selected, token, keyId, issuer: chosen.oidcIssuer, described, disclosures };
  context.stdout.write(flags.string("output") === "json" ? `${printableJson(toJson(facts))}\n` : toText(facts));
  return 0;
}

/** A token that needs no person; otherwise there will be a login. */
async function findToken({ options }: TokenSource): Promise<IdentityToken | undefined> {
  const { flow } = options;
  if (flow !== undefined && flow !== "token") return undefined;
  try {
    return (await getIdentityToken({ ...options, flow: "token" })).token;
  } catch (error) {
    if (error instanceof InputError && error.code === "IDENTITY_TOKEN_UNAVAILABLE" && flow === undefined)
      return undefined;
    throw error;
  }
}

interface Facts {
  readonly selected: SelectedServices;
  readonly token: IdentityToken | undefined;
  readonly keyId: string | undefined;
  readonly issuer: string | undefined;
  readonly described: readonly Described[];
  readonly disclosures: readonly (Disclosure | undefined)[];
}

function toText({ selected, token, keyId, issuer, described, disclosures }: Facts): string {
  const { fulcio, rekor, timestampAuthorities } = selected;
  const lines = ["Nothing is signed, and nothing is sent to any of these services.", "", "Services:"];
  const listed = [
    ...(fulcio === undefined ? [] : [`certificate authority: ${fulcio}`]),
    ...timestampAuthorities.map((url) => `timestamp authority: ${url}`),
    ...rekor.map(({ url, majorApiVersion }) => `transparency log (Rekor v${majorApiVersion}): ${url}`),
  ];
  lines.push(...(listed.length === 0 ? ["none"] : listed).map((line) => `  ${sanitize(line)}`), "", "Signer:");
  if (keyId !== undefined) lines.push(`  public key with SHA-256 ${keyId}`);
  else if (token === undefined) lines.push(`  whoever logs in at ${sanitize(issuer ?? "an identity provider")}`);
  else {
    const { certificateRows, claims } = describeIdentityToken(token);
    lines.push(`  ${sanitize(token.subject)}, says ${sanitize(token.issuer)}`, "", "Claims of the identity token:");
    lines.push(...claims.map(({ label, value }) => `  ${label}: ${value}`));
    if (certificateRows.length > 0) lines.push("", "The certificate will say:");
    lines.push(...certificateRows.map(({ label, value }) => `  ${label}: ${value}`));
  }
  for (const [index, { input, content }] of described.entries()) {
    const disclosure = disclosures[index];
    lines.push("", `${sanitize(input)}, ${content.kind} with ${formatDigest(content.digest)}:`);
    lines.push(
      ...(disclosure === undefined
        ? ["What becomes public depends on who logs in."]
        : disclosureToText(disclosure).trimEnd().split("\n")),
    );
  }
  return `${lines.join("\n")}\n`;
}

function toJson({ selected, token, keyId, issuer, described, disclosures }: Facts): JsonObject {
  const { fulcio, rekor, timestampAuthorities } = selected;
  return {
    version: 1,
    verdict: "explained",
    services: {
      ...(fulcio !== undefined && { fulcio }),
      rekor: rekor.map(({ url, majorApiVersion }) => ({ url, majorApiVersion })),
      timestampAuthorities,
    },
    signer:
      keyId === undefined
        ? token === undefined
          ? { kind: "login", ...(issuer !== undefined && { issuer }) }
          : { kind: "identity-token", ...tokenToJson(token) }
        : { kind: "public-key", spkiSha256: keyId },
    artifacts: described.map(({ input, content }, index) => ({
      artifact: input,
      kind: content.kind,
      digest: formatDigest(content.digest),
      ...disclosureToJson(disclosures[index]),
    })),
  };
}

function tokenToJson(token: IdentityToken): JsonObject {
  const { claims, certificateRows } = describeIdentityToken(token);
  const rows = (list: typeof claims): JsonObject => Object.fromEntries(list.map(({ label, value }) => [label, value]));
  return {
    issuer: token.issuer,
    subject: token.subject,
    expiresAt: token.expiresAt.toISOString(),
    claims: rows(claims),
    certificate: rows(certificateRows),
  };
}

function disclosureToJson(disclosure: Disclosure | undefined): JsonObject {
  if (disclosure === undefined) return {};
  return {
    public: disclosure.items.map(({ what, title, value, logs }) => ({
      what,
      title,
      ...(value !== undefined && { value }),
      logs,
    })),
    notes: disclosure.notes,
  };
}
