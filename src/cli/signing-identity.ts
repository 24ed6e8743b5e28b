/**
 * Who signs: the identity token, and how a person is reached who logs in for it.
 *
 * @module
 */

import { tryDecodeUtf8 } from "../encoding/utf8.ts";
import { InputError } from "../errors.ts";
import { readInputFile } from "../files/read-file.ts";
import { MAX_KEY_FILE_BYTES } from "../limits.ts";
import { createContext, findToken, getIdentityToken, type IdentityTokenOptions } from "../oidc/get-identity-token.ts";
import type { Interaction } from "../oidc/login.ts";
import type { IdentityTokenRequest } from "../sign/options.ts";
import type { ExpectedIdentity } from "../verify/identity.ts";
import { notice, trace, type Context } from "./context.ts";
import { usage, type Flags } from "./flags.ts";
import { readLine } from "./input-lines.ts";

/** Is where tokens come from. */
export interface TokenSource {
  readonly obtain: (request: IdentityTokenRequest) => Promise<string>;
  /** Obtains a token that needs no person, which may have expired: `undefined` where somebody has to log in. */
  readonly known: () => Promise<string | undefined>;
  /** Whether a person logged in for the last token, or would have to. */
  readonly isLogin: () => boolean;
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
  let known: Promise<string | undefined> | undefined;
  return {
    options,
    isLogin: () => login,
    async known() {
      const token = await (known ??= findKnownToken(options));
      login = token === undefined;
      return token;
    },
    async obtain({ audience, signal }) {
      const { token, provider } = await getIdentityToken({ ...options, audience, signal: signal ?? context.signal });
      login = ["normal", "device"].includes(provider);
      trace(
        context,
        `identity token: from ${provider}, issued by ${token.issuer}, valid until ${token.expiresAt.toISOString()}`,
      );
      return token.raw;
    },
  };
}

/** A provider that is there and fails is an error here too: who goes on with a signature would otherwise be compared with nobody. */
async function findKnownToken(options: IdentityTokenOptions): Promise<string | undefined> {
  const { flow } = options;
  if (flow !== undefined && flow !== "token") return undefined;
  try {
    const found = await findToken({ ...options, flow: "token" }, createContext(options), () => undefined);
    return found.kind === "token" ? found.token.raw : undefined;
  } catch (error) {
    if (error instanceof InputError && error.code === "IDENTITY_TOKEN_UNAVAILABLE") return undefined;
    throw error;
  }
}

/**
 * Reads whom the certificate must name, for instances that map tokens in a way of their own.
 *
 * @returns `undefined` where it follows from the token.
 * @throws InputError `USAGE_INVALID`.
 */
export function readCertificateIdentity(flags: Flags): ExpectedIdentity | undefined {
  const subjectAlternativeName = flags.string("require-identity");
  const issuer = flags.string("require-issuer");
  if (subjectAlternativeName === undefined && issuer === undefined) return undefined;
  if (subjectAlternativeName !== undefined && issuer !== undefined) return { subjectAlternativeName, issuer };
  throw usage("--require-identity and --require-issuer belong together", { remedy: "give both, or none" });
}

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
