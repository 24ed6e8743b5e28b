/**
 * The paths of a registry.
 *
 * @see opencontainers/distribution-spec spec.md, "Endpoints"
 * @module
 */

/** Says what a path is about. */
export type Route =
  | { readonly kind: "base" | "catalog" | "token" | "unknown" }
  | {
      readonly kind: "manifest" | "blob" | "upload" | "referrers" | "storage";
      readonly name: string;
      readonly last: string;
    }
  | { readonly kind: "uploads" | "tags"; readonly name: string };

/** Reads a path; what it names is held to the grammars of names by whoever uses it. */
export function routeOf(pathname: string): Route {
  const path = decodePath(pathname);
  if (path === "/v2" || path === "/v2/") return { kind: "base" };
  if (path === "/v2/_catalog") return { kind: "catalog" };
  if (path === "/token") return { kind: "token" };
  const [, name = ""] = /^\/v2\/(.+)\/(?:tags\/list|blobs\/uploads\/?)$/s.exec(path) ?? [];
  if (name !== "") return { kind: path.endsWith("/tags/list") ? "tags" : "uploads", name };
  const {
    repository = "",
    kind = "",
    last = "",
  } = /^\/(?:v2|storage)\/(?<repository>.+?)\/(?<kind>manifests|blobs\/uploads|blobs|referrers)\/(?<last>[^/]+)$/s.exec(
    path,
  )?.groups ?? {};
  const at = { name: repository, last };
  if (path.startsWith("/storage/")) return kind === "blobs" ? { kind: "storage", ...at } : { kind: "unknown" };
  switch (kind) {
    case "manifests":
      return { kind: "manifest", ...at };
    case "blobs":
      return { kind: "blob", ...at };
    case "blobs/uploads":
      return { kind: "upload", ...at };
    case "referrers":
      return { kind: "referrers", ...at };
    default:
      return { kind: "unknown" };
  }
}

/** Some clients write the colon of a digest as `%3A`. */
function decodePath(pathname: string): string {
  try {
    return decodeURIComponent(pathname);
  } catch {
    return "";
  }
}
