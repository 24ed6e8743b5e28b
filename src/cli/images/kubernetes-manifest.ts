/**
 * Kubernetes manifests: the images that they run.
 *
 * @module
 */

import { FormatError } from "../../errors.ts";
import { MAX_KUBERNETES_DOCUMENTS, MAX_KUBERNETES_MANIFEST_BYTES, MAX_KUBERNETES_NODES } from "../../limits.ts";

/** Is an image that a manifest runs. */
export interface ManifestImage {
  readonly image: string;
  /** Where it stands: `Deployment/web: spec.template.spec.containers[0]`. */
  readonly where: string;
}

/** The lists of a pod that have images, in the order in which they start. */
const CONTAINER_LISTS = ["initContainers", "containers", "ephemeralContainers"] as const;

/**
 * Finds the images of all pods in Kubernetes manifests: of pods themselves, and of whatever has a pod's specification within it, be it a
 * Deployment, a CronJob, a List, or a kind that nobody here knows.
 *
 * @param text - YAML, of which there may be several documents; or JSON.
 * @throws {@link FormatError} `YAML_MALFORMED`, `LIMIT_EXCEEDED`.
 * @see Kubernetes API reference, PodSpec v1 core
 */
export async function findManifestImages(text: string): Promise<readonly ManifestImage[]> {
  if (text.length > MAX_KUBERNETES_MANIFEST_BYTES) throw tooMuch(`more than ${MAX_KUBERNETES_MANIFEST_BYTES} bytes`);
  const { parseAllDocuments } = await import("yaml");
  // Merge keys are of YAML 1.1, which Kubernetes reads: what one brings in is run too.
  const documents = parseAllDocuments(text, { uniqueKeys: true, strict: true, stringKeys: true, merge: true });
  if ("empty" in documents) return [];
  if (documents.length > MAX_KUBERNETES_DOCUMENTS) throw tooMuch(`more than ${MAX_KUBERNETES_DOCUMENTS} documents`);
  const found: ManifestImage[] = [];
  const budget = { left: MAX_KUBERNETES_NODES };
  for (const [index, document] of documents.entries()) {
    const [error] = document.errors;
    if (error !== undefined) throw malformed(error.message.split("\n")[0] ?? "");
    let value: unknown;
    try {
      // Aliases could make much of little.
      value = document.toJS({ maxAliasCount: 100 });
    } catch (cause) {
      throw malformed(cause instanceof Error ? cause.message : "it cannot be read");
    }
    collect(value, `document ${index + 1}`, "", found, budget);
  }
  return found;
}

/** Looks for pods' specifications at any depth: an object with a list of containers. */
function collect(value: unknown, owner: string, path: string, found: ManifestImage[], budget: { left: number }): void {
  budget.left -= 1;
  if (budget.left < 0) throw tooMuch(`more than ${MAX_KUBERNETES_NODES} values`);
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) collect(item, owner, `${path}[${index}]`, found, budget);
    return;
  }
  if (typeof value !== "object" || value === null) return;
  const object = value as Readonly<Record<string, unknown>>;
  const named = nameOf(object);
  const [who, from] = named === undefined ? [owner, path] : [named, ""];
  for (const list of CONTAINER_LISTS) {
    const containers = object[list];
    if (!Array.isArray(containers)) continue;
    for (const [index, container] of containers.entries()) {
      const { image } = (container ?? {}) as { readonly image?: unknown };
      const where = `${who}: ${from === "" ? "" : `${from}.`}${list}[${index}]`;
      if (image === undefined || image === null) continue; // filled in by whoever admits it
      if (typeof image !== "string" || image === "") throw malformed(`${where} has an image that is no text`);
      found.push({ image, where });
    }
  }
  findVolumes(object["volumes"], `${who}: ${from === "" ? "" : `${from}.`}volumes`, found);
  for (const [key, item] of Object.entries(object))
    if (!(CONTAINER_LISTS as readonly string[]).includes(key))
      collect(item, who, from === "" ? key : `${from}.${key}`, found, budget);
}

/** A volume may be an image too, which containers then read or run. */
function findVolumes(volumes: unknown, where: string, found: ManifestImage[]): void {
  if (!Array.isArray(volumes)) return;
  for (const [index, volume] of volumes.entries()) {
    const { image } = (volume ?? {}) as { readonly image?: unknown };
    const { reference } = (image ?? {}) as { readonly reference?: unknown };
    if (reference === undefined || reference === null) continue;
    if (typeof reference !== "string" || reference === "")
      throw malformed(`${where}[${index}] has an image that is no text`);
    found.push({ image: reference, where: `${where}[${index}]` });
  }
}

/** A resource has a kind, and mostly a name. */
function nameOf({ kind, apiVersion, metadata }: Readonly<Record<string, unknown>>): string | undefined {
  if (typeof kind !== "string" || typeof apiVersion !== "string") return undefined;
  const { name } = (metadata ?? {}) as { readonly name?: unknown };
  return typeof name === "string" ? `${kind}/${name}` : kind;
}

function malformed(problem: string): FormatError {
  return new FormatError("YAML_MALFORMED", `Kubernetes manifest cannot be read: ${problem.slice(0, 300)}`);
}

function tooMuch(found: string): FormatError {
  return new FormatError("LIMIT_EXCEEDED", "Kubernetes manifest is too large", { found });
}
