/**
 * Whether a registry is reached with TLS or without, and what its answers say about that.
 *
 * @module
 */

import { ServiceError } from "../../errors.ts";
import type { RegistryOptions } from "./registry-options.ts";

/** Is a way to reach a registry. */
export type Scheme = "https" | "http";

/** Lists how a registry may be reached, in order: with TLS, unless the caller gave that up or it is on this machine. */
export function schemesOf(
  registry: string,
  { allowHttp = false, tls }: RegistryOptions,
): readonly [Scheme, ...Scheme[]] {
  if (allowHttp) return isLoopback(registry) && tls === undefined ? ["http", "https"] : ["https", "http"];
  return isLoopback(registry) ? (tls === undefined ? ["http", "https"] : ["https", "http"]) : ["https"];
}

function isLoopback(registry: string): boolean {
  const host = registry.replace(/:\d+$/, "");
  return host === "localhost" || /^127(\.\d{1,3}){3}$/.test(host) || host === "[::1]" || host.endsWith(".localhost");
}

/** Says whether a server wants TLS: asked without it, they say so with this status, in words of their own. */
export function wantsTls(error: ServiceError): boolean {
  return error.status === 400 && /https|plain HTTP/i.test(serverWordsOf(error));
}

/** Gives what the server said, without the address before it. */
export function serverWordsOf({ message }: ServiceError): string {
  return / answered with status \d+(?: \(\d+ attempts\))?: (.*)$/s.exec(message)?.[1] ?? "";
}

function networkCodeOf(error: unknown): string {
  const cause = error instanceof ServiceError && error.cause instanceof Error ? error.cause.cause : undefined;
  return cause instanceof Error && "code" in cause ? String(cause.code) : "";
}

/** Says whether a server answered, but not in TLS: by what OpenSSL says of that. */
export function speaksPlainHttp(error: unknown): error is ServiceError {
  return /^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST)$/.test(networkCodeOf(error));
}

/** Says whether a server speaks TLS, and it is its certificate that is not good. */
export function hasBadCertificate(error: ServiceError): boolean {
  return /^(CERT_|ERR_TLS_CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH)/.test(networkCodeOf(error));
}
