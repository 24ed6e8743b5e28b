import { MAX_REMEMBERED_MANIFEST_BYTES } from "../../limits.ts";
import type { FetchedManifest } from "../content-store.ts";

/** Remembers manifests by their digest, which is that of their bytes: nothing with a digest has to be fetched twice. */
export class ManifestMemory {
  readonly #manifests = new Map<string, FetchedManifest>();
  readonly #fetching = new Map<string, Promise<FetchedManifest | undefined>>();
  #bytes = 0;

  /** Gives what is remembered, or waits for who fetches it already, or fetches it. What is not there is asked for again. */
  async get(digest: string, fetch: () => Promise<FetchedManifest | undefined>): Promise<FetchedManifest | undefined> {
    const known = this.#manifests.get(digest);
    if (known !== undefined) return known;
    let fetching = this.#fetching.get(digest);
    if (fetching === undefined) {
      fetching = fetch().finally(() => this.#fetching.delete(digest));
      this.#fetching.set(digest, fetching);
    }
    return await fetching;
  }

  /** Remembers a manifest; the oldest are forgotten for it. */
  add(fetched: FetchedManifest): void {
    const { etag: _etag, ...remembered } = fetched; // that is of a tag, at one time
    const { digest } = fetched.descriptor;
    if (this.#manifests.has(digest) || fetched.bytes.length > MAX_REMEMBERED_MANIFEST_BYTES) return;
    this.#manifests.set(digest, remembered);
    this.#bytes += fetched.bytes.length;
    for (const [oldest, { bytes }] of this.#manifests) {
      if (this.#bytes <= MAX_REMEMBERED_MANIFEST_BYTES) return;
      this.#manifests.delete(oldest);
      this.#bytes -= bytes.length;
    }
  }

  /** Forgets one, for instance because it was deleted. */
  delete(digest: string): void {
    this.#bytes -= this.#manifests.get(digest)?.bytes.length ?? 0;
    this.#manifests.delete(digest);
  }
}
