/**
 * References to images: `registry/repository:tag@digest`, parsed strictly.
 *
 * @module
 */

import { InputError } from "../errors.ts";
import { redactSecrets } from "../http/redact.ts";
import { isContentDigest, type ContentDigest } from "./content-digest.ts";

/** Names an image in a registry. */
export interface ImageReference {
  /** Host, and port where there is one: `ghcr.io`, `localhost:5000`, `[::1]:5000`. Docker Hub is `index.docker.io`. */
  readonly registry: string;
  /** On Docker Hub with `library/` before a name of one part. */
  readonly repository: string;
  /** Absent beside a digest where none was written; otherwise `latest` where nothing was written. */
  readonly tag?: string | undefined;
  /** Wins over the tag. */
  readonly digest?: ContentDigest | undefined;
}

const DOCKER_HUB = "index.docker.io";
/** @see distribution/reference regexp.go; opencontainers/distribution-spec spec.md, "Pulling manifests" */
const COMPONENT = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const REPOSITORY = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const MAX_REPOSITORY_LENGTH = 255;
/** A host, a name, a tag and a digest of SHA-512 have less. */
const MAX_REFERENCE_LENGTH = 1024;
const NO_DIGEST = "what follows the @ is not a digest";
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const HOST =
  /^(?:\[[0-9a-f:]+\]|(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*)(?::([0-9]{1,5}))?$/i;

/**
 * Parses a reference as it is written on a command line.
 *
 * @throws {@link InputError} `REFERENCE_MALFORMED`.
 * @see distribution/reference, "Grammar"; Docker Hub's defaults as go-containerregistry has them
 */
export function parseReference(text: string): ImageReference {
  const at = text.indexOf("@");
  const fail = (problem: string): InputError => {
    // What stands before the @ of a URL may be a password.
    const shown = at === -1 || problem === NO_DIGEST ? text.slice(Math.max(0, at)) : text;
    const written = JSON.stringify(redactSecrets(shown).slice(0, 300));
    return new InputError("REFERENCE_MALFORMED", `${written} is not a reference: ${problem}`, {
      expected: "registry/repository:tag or registry/repository@sha256:…",
    });
  };
  if (text.length > MAX_REFERENCE_LENGTH) throw fail("it is too long");
  if (/^[a-z]+:\/\//i.test(text)) throw fail("it begins with the scheme of a URL");
  const named = at === -1 ? text : text.slice(0, at);
  const digest = at === -1 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !isContentDigest(digest)) throw fail(NO_DIGEST);
  const slash = named.indexOf("/");
  const first = slash === -1 ? "" : named.slice(0, slash);
  // Only what could not be a part of a repository's name is taken for a host.
  const hasHost = first !== "" && (/[.:[\]]/.test(first) || first.toLowerCase() === "localhost" || /[A-Z]/.test(first));
  const registry = hasHost ? readHost(first, fail) : DOCKER_HUB;
  const rest = hasHost ? named.slice(slash + 1) : named;
  const colon = rest.indexOf(":");
  const path = colon === -1 ? rest : rest.slice(0, colon);
  const tag = colon === -1 ? undefined : rest.slice(colon + 1);
  if (path === "") throw fail("it names no repository");
  if (path.length > MAX_REPOSITORY_LENGTH) throw fail(`the name is longer than ${MAX_REPOSITORY_LENGTH} characters`);
  if (!REPOSITORY.test(path))
    throw fail(/[A-Z]/.test(path) ? "the name has capital letters" : "the name of the repository is malformed");
  if (tag !== undefined && !TAG.test(tag)) throw fail("the tag is malformed");
  return {
    registry,
    repository: registry === DOCKER_HUB && !path.includes("/") ? `library/${path}` : path,
    ...(tag !== undefined ? { tag } : digest === undefined && { tag: "latest" }),
    ...(digest !== undefined && { digest }),
  };
}

/**
 * Parses the name of a registry, as it stands at the beginning of a reference; `https://` before it and a slash behind it are left out,
 * as those who log in write them.
 *
 * @throws {@link InputError} `REFERENCE_MALFORMED`.
 */
export function parseRegistry(text: string): string {
  const host = text.replace(/^https:\/\//i, "").replace(/\/(v[12]\/?)?$/, "");
  return readHost(host, (problem) => {
    const written = JSON.stringify(redactSecrets(text).slice(0, 300));
    return new InputError("REFERENCE_MALFORMED", `${written} is not a registry: ${problem}`, {
      expected: "a host, for instance registry.example.com or localhost:5000",
    });
  });
}

function readHost(text: string, fail: (problem: string) => InputError): string {
  const match = HOST.exec(text);
  if (match === null) throw fail("the host is malformed");
  if (match[1] !== undefined && (Number(match[1]) < 1 || Number(match[1]) > 65_535))
    throw fail("there is no such port");
  const host = text.toLowerCase();
  // Numbers that only look like an address are none for a URL either.
  if (!URL.canParse(`https://${host}`)) throw fail("the host is malformed");
  return host === "docker.io" || host === "registry-1.docker.io" ? DOCKER_HUB : host;
}

/** Says whether text could be a tag. */
export function isTag(text: string): boolean {
  return TAG.test(text);
}

/** Writes the repository: `registry/name`. */
function formatRepository({ registry, repository }: ImageReference): string {
  return `${registry}/${repository}`;
}

/** Writes a reference in full. */
export function formatReference(reference: ImageReference): string {
  const { tag, digest } = reference;
  return `${formatRepository(reference)}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}
