/**
 * What an ambient identity provider is: something around the process that gives it a token without asking a person.
 *
 * @module
 */

import type { Fetch, RequestOptions } from "../http/request.ts";

/** Holds variables, for instance those of the process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Is the part of the file system that providers touch. */
export interface TokenFiles {
  exists(path: string): Promise<boolean>;
  /** Finds the user id of who owns a path, a link's own; `undefined` where that is not known. */
  owner(path: string): Promise<number | undefined>;
  /** Reads a small file whole. @throws InputError `FILE_NOT_FOUND` and others. */
  read(path: string): Promise<Uint8Array>;
}

/** Holds what a provider works with. */
export interface ProviderContext {
  readonly environment: Environment;
  /** For whom the token is to be. */
  readonly audience: string;
  /** How requests are made. */
  readonly request: RequestOptions;
  /** Reaches the machine's own services, which a proxy must not be asked for: it would answer for another machine. */
  readonly directFetch: Fetch;
  readonly files: TokenFiles;
}

/** Says whether a provider is there. */
export type Detection =
  | { readonly kind: "available"; readonly reason: string }
  /** Nothing points to it. */
  | { readonly kind: "absent"; readonly reason: string }
  /** It is there, but was not told to give tokens. */
  | { readonly kind: "not-configured"; readonly reason: string; readonly remedy: string };

/** Is one ambient provider. */
export interface IdentityProvider {
  /** Is the name that users write; cosign's where cosign has the provider. */
  readonly name: string;
  /** Says whether the provider is there, without asking for a token. */
  detect(context: ProviderContext): Promise<Detection>;
  /**
   * Asks for a token. Only called when the provider is available.
   *
   * @throws ServiceError, InputError; no message holds a secret.
   */
  obtain(context: ProviderContext): Promise<string>;
  /** What to do when the token is for another audience, where the audience cannot be asked for. */
  readonly audienceRemedy?: (audience: string) => string;
}

/** Reads a variable; an empty one is as good as none. */
export function variable(environment: Environment, name: string): string | undefined {
  const value = environment[name]?.trim();
  return value === "" ? undefined : value;
}

/** Makes a detection of something that nothing points to. */
export function absent(reason: string): Detection {
  return { kind: "absent", reason };
}

/** Makes a detection of a provider that can be asked. */
export function available(reason: string): Detection {
  return { kind: "available", reason };
}
