/**
 * What a signature makes public, told before it does.
 *
 * @module
 */

/** Is one thing that becomes public. */
export interface DisclosedItem {
  /** For instance `certificate-identity`, `certificate-extension`, `artifact-digest`, `public-key`, `signature`, `time`. */
  readonly what:
    | "certificate-identity"
    | "certificate-issuer"
    | "certificate-extension"
    | "public-key"
    | "artifact-digest"
    | "statement-digest"
    | "signature"
    | "time";
  /** For a person, for instance `Source Repository URI`. */
  readonly title: string;
  /** The value as far as it is known before; `undefined` for what only comes about by signing. */
  readonly value: string | undefined;
  /** The logs that will hold it. */
  readonly logs: readonly string[];
}

/** Is everything that one signature makes public, in logs from which nothing can be removed. */
export interface Disclosure {
  /** Empty where nothing becomes public. */
  readonly items: readonly DisclosedItem[];
  /** What stays private though one might think otherwise, and what else to know, in sentences. */
  readonly notes: readonly string[];
}
