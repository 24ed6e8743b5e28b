/**
 * How registries are reached.
 *
 * @module
 */

import type { Fetch } from "../../http/request.ts";
import type { TlsOptions } from "../../http/tls.ts";
import type { CredentialSource } from "./credentials.ts";

/** Is one request that was made, for whoever counts them. Never holds a credential. */
export interface RegistryEvent {
  readonly kind: "request";
  readonly method: string;
  /** Without its query, where a signed URL has its signature. */
  readonly url: string;
  /** Absent where there was no answer. */
  readonly status: number | undefined;
  /** Of the body of the answer, as far as it was read. */
  readonly bytes: number;
  /** Whether it was for a token, and not for content. */
  readonly authentication: boolean;
}

/** Configures a `RegistryClient`. An omitted option is the safe one. */
export interface RegistryOptions {
  /** Default: the credentials of docker's configuration in `environment`. */
  readonly credentials?: CredentialSource | undefined;
  /** Lets registries be reached without TLS. Default: only on the loopback interface. */
  readonly allowHttp?: boolean | undefined;
  /** Lets a registry have any certificate. Default false. */
  readonly insecureSkipTlsVerify?: boolean | undefined;
  /** Certificates of authorities, and of the client, for registries. Not for other hosts that they name. */
  readonly tls?: TlsOptions | undefined;
  /** Hosts of token services, besides the registry's own, that may be sent its credentials. */
  readonly trustedRealmHosts?: readonly string[] | undefined;
  readonly fetch?: Fetch | undefined;
  /**
   * Milliseconds for one operation, all attempts and waits together; content has a second more for each 64 KiB. A blob that is streamed
   * has them to begin, and may then fall behind that speed by as much, whether it stops or drips. Default 1 minute.
   */
  readonly timeoutMs?: number | undefined;
  /** Attempts after the first one of each request. Default 2. */
  readonly retries?: number | undefined;
  /** Requests to one host at a time. Default 8. */
  readonly concurrency?: number | undefined;
  readonly userAgent?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Waits between attempts; a test passes one that does not. */
  readonly sleep?: ((ms: number) => Promise<void>) | undefined;
  /** Gives a number from 0 to below 1, for jitter. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
  readonly observer?: ((event: RegistryEvent) => void) | undefined;
  /** Default `process.env`: docker's configuration and proxies. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
}
