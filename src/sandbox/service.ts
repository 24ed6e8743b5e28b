/**
 * What every service of the sandbox is given, and what it gives: the standard `Request` in, the standard `Response` out.
 *
 * @module
 */

import type { SandboxStore } from "./store.ts";

/** Is one service, without the socket it is reached through. */
export interface SandboxService {
  /** Answers one request; its URL begins with {@link ServiceContext.url}. */
  fetch(request: Request): Response | Promise<Response>;
}

/** Holds what a service works with. */
export interface ServiceContext {
  /** Where clients reach the service, without a slash at the end. */
  readonly url: string;
  /** The clock of the sandbox, which a fault can set off from the real one. */
  readonly now: () => Date;
  /** What is kept across restarts; the names in it are the service's own. */
  readonly store: SandboxStore;
  /** What to answer wrongly now, one of the service's own words; `undefined` for the truth. */
  readonly forgery: () => string | undefined;
}
