import { sanitize } from "../encoding/printable.ts";
import { InputError } from "../errors.ts";
import { MAX_DEVICE_LOGIN_SECONDS } from "../limits.ts";
import { discoverProvider, isLoopback, type OpenIdProvider } from "./discovery.ts";
import type { IdentityToken } from "./identity-token.ts";
import {
  createPkce,
  loginRefused,
  readLoginToken,
  requestAsClient,
  requirePkce,
  SCOPE,
  type Interaction,
  type LoginOptions,
  type Pkce,
} from "./login.ts";

/** Configures a login on another device. */
export interface DeviceLoginOptions extends LoginOptions {
  readonly interaction: Pick<Interaction, "print">;
  /** Waits between questions; ends early, with the signal's reason, when the signal says so. */
  readonly wait?: ((ms: number, signal?: AbortSignal) => Promise<void>) | undefined;
}

const GRANT = "urn:ietf:params:oauth:grant-type:device_code";
/** RFC 8628 §3.2: when the provider names none. */
const DEFAULT_INTERVAL_SECONDS = 5;
/** RFC 8628 §3.5: for this and all further questions. */
const SLOW_DOWN_SECONDS = 5;
const MAX_INTERVAL_SECONDS = 60;

/** Is what the provider wants a person to do. */
interface DeviceAuthorization {
  readonly deviceCode: string;
  readonly userCode: string;
  readonly address: string;
  readonly expiresInSeconds: number;
  readonly intervalSeconds: number;
}

/**
 * Lets a person log in on another device, with a code that is shown here.
 *
 * @throws {@link InputError} `LOGIN_FAILED` when it was refused or not finished in time; ServiceError.
 * @see {@link https://www.rfc-editor.org/rfc/rfc8628 | RFC 8628}, {@link https://www.rfc-editor.org/rfc/rfc7636 | RFC 7636}
 */
export async function logInWithDevice(options: DeviceLoginOptions): Promise<IdentityToken> {
  const { interaction, request, now, wait = waitFor } = options;
  const provider = await discoverProvider(options.issuer, request);
  requirePkce(provider);
  const pkce = createPkce();
  const device = await requestDevice(provider, pkce, options);
  interaction.print(`Enter the verification code ${device.userCode} in your browser at: ${device.address}`);
  interaction.print(`The code is valid for ${device.expiresInSeconds} seconds`);

  const endsAt = now().getTime() + device.expiresInSeconds * 1000;
  let interval = device.intervalSeconds;
  for (;;) {
    await wait(interval * 1000, request.signal);
    request.signal?.throwIfAborted();
    const { status, body } = await requestAsClient(
      provider.tokenEndpoint,
      provider,
      { grant_type: GRANT, device_code: device.deviceCode, code_verifier: pkce.verifier },
      options,
      [200, 400, 401, 403, 428],
    );
    if (status === 200) return readLoginToken(body, options);
    const error = body.text("error");
    if (error === "slow_down") interval = Math.min(MAX_INTERVAL_SECONDS, interval + SLOW_DOWN_SECONDS);
    else if (error === "expired_token") throw tooLate();
    else if (error !== "authorization_pending") throw loginRefused(error, body.optionalText("error_description"));
    if (now().getTime() + interval * 1000 >= endsAt) throw tooLate();
  }
}

/** @see RFC 8628 §3.1, §3.2 */
async function requestDevice(
  provider: OpenIdProvider,
  pkce: Pkce,
  options: DeviceLoginOptions,
): Promise<DeviceAuthorization> {
  const { body } = await requestAsClient(
    provider.deviceAuthorizationEndpoint,
    provider,
    { scope: SCOPE, code_challenge: pkce.challenge, code_challenge_method: "S256" },
    options,
  );
  const address = body.optionalText("verification_uri_complete") ?? body.text("verification_uri");
  const shown = tryReadAddress(address) ?? body.fail("an answer whose verification_uri is not an HTTPS URL");
  const interval = body.optionalNumber("interval") ?? DEFAULT_INTERVAL_SECONDS;
  return {
    deviceCode: body.text("device_code"),
    userCode: sanitize(body.text("user_code")).slice(0, 100),
    address: sanitize(shown),
    expiresInSeconds: Math.min(body.optionalNumber("expires_in") ?? MAX_DEVICE_LOGIN_SECONDS, MAX_DEVICE_LOGIN_SECONDS),
    // Zero would be a flood of questions.
    intervalSeconds: Math.min(Math.max(interval, 1), MAX_INTERVAL_SECONDS),
  };
}

function tryReadAddress(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null) return undefined;
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url)) ? url.href : undefined;
}

function tooLate(): InputError {
  return new InputError("LOGIN_FAILED", "login was not finished while its code was valid", {
    remedy: "start again, and enter the code sooner",
  });
}

/** Waits, unless told to stop. */
async function waitFor(ms: number, signal?: AbortSignal): Promise<void> {
  const { setTimeout } = await import("node:timers/promises");
  await setTimeout(ms, undefined, signal === undefined ? {} : { signal }).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw error;
  });
}
