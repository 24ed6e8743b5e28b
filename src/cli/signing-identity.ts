/**
 * Who signs: the identity token, and how a person is reached who logs in for it.
 *
 * @module
 */

import { tryDecodeUtf8 } from "../encoding/utf8.ts";
import { readInputFile } from "../files/read-file.ts";
import { MAX_KEY_FILE_BYTES } from "../limits.ts";
import { expectCertificate } from "../oidc/expected-certificate.ts";
import { getIdentityToken, type IdentityTokenOptions } from "../oidc/get-identity-token.ts";
import type { IdentityToken } from "../oidc/identity-token.ts";
import type { Interaction } from "../oidc/login.ts";
import type { IdentityTokenRequest } from "../sign/options.ts";
import type { ExpectedIdentity, StringPattern } from "../verify/identity.ts";
import { notice, trace, type Context } from "./context.ts";
import { usage, type Flags } from "./flags.ts";
import { readLine } from "./input-lines.ts";

/** Is where tokens come from. */
export interface TokenSource {
  readonly obtain: (request: IdentityTokenRequest) => Promise<string>;
  /** Whether a person logged in for the last token. */
  readonly isLogin: () => boolean;
  /**
   * Whom a certificate for the last token must name, where nothing is known of how its issuer's claims are mapped: a private instance
   * says that itself. Then it is the issuer that is compared, and the name is told.
   */
  readonly identity: () => ExpectedIdentity | undefined;
  readonly options: IdentityTokenOptions;
}

/**
 * Reads how to get a token. Nothing is asked yet.
 *
 * @param stdinIsTaken - Whether standard input is what is signed: then nobody can type there.
 * @throws InputError.
 */
export async function readTokenSource(
  flags: Flags,
  issuer: string | undefined,
  stdinIsTaken: boolean,
  context: Context,
): Promise<TokenSource> {
  const secret = flags.string("oidc-client-secret-file");
  const options: IdentityTokenOptions = {
    identityToken: flags.string("identity-token"),
    flow: flags.choice("fulcio-auth-flow", ["normal", "device", "token", "client_credentials"]),
    issuer,
    clientId: flags.string("oidc-client-id"),
    clientSecret: secret === undefined ? undefined : await readSecret(secret),
    redirectUrl: flags.string("oidc-redirect-url"),
    provider: flags.string("oidc-provider"),
    disableAmbient: flags.boolean("oidc-disable-ambient-providers"),
    interaction: interactionOf(stdinIsTaken, context),
    environment: context.environment,
    fetch: context.fetch,
    now: context.now,
    signal: context.signal,
  };
  let login = false;
  let last: IdentityToken | undefined;
  return {
    options,
    isLogin: () => login,
    identity: () =>
      last === undefined || expectCertificate(last) !== undefined
        ? undefined
        : { subjectAlternativeName: ANY_NAME, issuer: last.issuer },
    async obtain({ audience, signal }) {
      const { token, provider } = await getIdentityToken({ ...options, audience, signal: signal ?? context.signal });
      login = ["normal", "device"].includes(provider);
      last = token;
      trace(
        context,
        `identity token: from ${provider}, issued by ${token.issuer}, valid until ${token.expiresAt.toISOString()}`,
      );
      return token.raw;
    },
  };
}

const ANY_NAME: StringPattern = {
  kind: "pattern",
  description: "any name",
  anchored: false,
  test: () => true,
};

async function readSecret(path: string): Promise<string> {
  const text = tryDecodeUtf8(await readInputFile(path, MAX_KEY_FILE_BYTES, "OIDC client secret"));
  if (text === undefined) throw usage(`OIDC client secret in file ${JSON.stringify(path)} is not valid UTF-8`);
  return text.trim();
}

function interactionOf(stdinIsTaken: boolean, context: Context): Interaction {
  return {
    isTerminal: !stdinIsTaken && context.terminal !== undefined,
    print: (line) => notice(context, line),
    ...(stdinIsTaken
      ? {}
      : {
          prompt: async (question: string) => {
            context.stderr.write(question);
            return await readLine(context.stdin);
          },
        }),
  };
}
