/**
 * Who signs: the identity token, and how a person is reached who logs in for it.
 *
 * @module
 */

import { tryDecodeUtf8 } from "../encoding/utf8.ts";
import { InputError } from "../errors.ts";
import { readInputFile } from "../files/read-file.ts";
import { MAX_KEY_FILE_BYTES } from "../limits.ts";
import {
  checkTokenOptions,
  createContext,
  DEFAULT_AUDIENCE,
  findToken,
  getIdentityToken,
  type IdentityTokenOptions,
} from "../oidc/get-identity-token.ts";
import { checkIdentityToken, parseIdentityToken } from "../oidc/identity-token.ts";
import type { Interaction } from "../oidc/login.ts";
import { readExplicitToken } from "../oidc/providers/explicit.ts";
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
 * Reads how to get a token, and refuses what can be seen to fail. Nothing is asked yet, and a token that is given is read: it may come
 * out of a pipe, once.
 *
 * @param keyless - Whether a token will be asked for at all.
 * @param stdinIsTaken - Whether standard input is what is signed: then nobody can type there.
 * @throws InputError, FormatError `IDENTITY_TOKEN_MALFORMED`.
 */
export async function readTokenOptions(
  flags: Flags,
  keyless: boolean,
  stdinIsTaken: boolean,
  context: Context,
): Promise<IdentityTokenOptions> {
  const secret = flags.string("oidc-client-secret-file");
  const given = flags.string("identity-token");
  const options: IdentityTokenOptions = {
    identityToken: given,
    flow: flags.choice("fulcio-auth-flow", ["normal", "device", "token", "client_credentials"]),
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
  if (!keyless) return options;
  checkTokenOptions(options);
  if (given === undefined) return options;
  const identityToken = await readExplicitToken(given, createContext(options).files);
  const token = parseIdentityToken(identityToken);
  // What is kept in a state file can be finished after the token has expired.
  if (!flags.has("resume-state")) checkIdentityToken(token, { audience: DEFAULT_AUDIENCE, now: context.now() });
  return { ...options, identityToken };
}

/** Makes the source of tokens of a command. */
export function createTokenSource(options: IdentityTokenOptions, context: Context): TokenSource {
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
