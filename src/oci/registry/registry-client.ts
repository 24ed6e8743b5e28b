/**
 * A client for registries: one session a host, whatever the number of repositories.
 *
 * @module
 */

import type { ContentStore } from "../content-store.ts";
import type { ImageReference } from "../reference.ts";
import type { RegistryOptions } from "./registry-options.ts";
import { RegistryRepository } from "./registry-repository.ts";
import { RegistrySession } from "./registry-session.ts";

/** Reaches registries. Tokens, and what is known of each registry, are shared by all its repositories. */
export class RegistryClient {
  /** How it was configured. */
  readonly options: RegistryOptions;
  readonly #sessions = new Map<string, RegistrySession>();
  readonly #repositories = new Map<string, RegistryRepository>();

  constructor(options: RegistryOptions = {}) {
    this.options = options;
  }

  /** Gives access to one repository; the same one every time. Asks for nothing. */
  repository({ registry, repository }: Pick<ImageReference, "registry" | "repository">): ContentStore {
    const name = `${registry}/${repository}`;
    let found = this.#repositories.get(name);
    if (found === undefined) {
      found = new RegistryRepository(this.#session(registry), repository);
      this.#repositories.set(name, found);
    }
    return found;
  }

  #session(registry: string): RegistrySession {
    let session = this.#sessions.get(registry);
    if (session === undefined) {
      session = new RegistrySession(registry, this.options);
      this.#sessions.set(registry, session);
    }
    return session;
  }
}
