/**
 * Images of a test in the registry of a sandbox, and command lines about them.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import type { ContentDigest } from "../../../src/oci/content-digest.ts";
import { RegistryClient } from "../../../src/oci/registry/registry-client.ts";
import type { Sandbox } from "../../../src/sandbox/sandbox.ts";
import type { Run } from "../../support/program.ts";
import { runCommand } from "./command-line.ts";

const PASSWORD = "of a test";
const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const INDEX = "application/vnd.oci.image.index.v1+json";

/** Is an image that was pushed. */
export interface PushedImage {
  /** `host:port/name:v1`. */
  readonly tagged: string;
  /** `host:port/name@sha256:…`. */
  readonly pinned: string;
  readonly digest: ContentDigest;
  /** Of an index: the manifests in it. */
  readonly leaves: readonly ContentDigest[];
}

/** Is the registry of a sandbox, with signers that use its services. */
export class ImageWorld {
  readonly sandbox: Sandbox;
  readonly host: string;
  readonly #folder: string;
  #images = 0;

  constructor(sandbox: Sandbox, folder: string) {
    this.sandbox = sandbox;
    this.host = new URL(sandbox.urls.registry).host;
    this.#folder = folder;
  }

  at(name: string): string {
    return `${this.#folder}/${name}`;
  }

  write(name: string, content: string | Uint8Array): string {
    writeFileSync(this.at(name), content);
    return this.at(name);
  }

  read(name: string): string {
    return readFileSync(this.at(name), "utf8");
  }

  /** Pushes an image that is like no other. */
  async push(): Promise<PushedImage> {
    const name = `image-${++this.#images}`;
    const digest = await this.#pushManifest(name, name, "v1");
    return { tagged: `${this.host}/${name}:v1`, pinned: `${this.host}/${name}@${digest}`, digest, leaves: [] };
  }

  /** Pushes an index of two images. */
  async pushIndex(): Promise<PushedImage> {
    const name = `image-${++this.#images}`;
    const manifests = [];
    for (const architecture of ["amd64", "arm64"]) {
      const { digest, size } = await this.#pushDescribed(name, `${name} ${architecture}`);
      manifests.push({ mediaType: MANIFEST, digest, size, platform: { os: "linux", architecture } });
    }
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests }));
    const { descriptor } = await this.#store(name).pushManifest(bytes, INDEX, { tag: "v1" });
    const { digest } = descriptor;
    return {
      tagged: `${this.host}/${name}:v1`,
      pinned: `${this.host}/${name}@${digest}`,
      digest,
      leaves: manifests.map((one) => one.digest),
    };
  }

  #store(name: string): ReturnType<RegistryClient["repository"]> {
    return new RegistryClient({ environment: {} }).repository({ registry: this.host, repository: name });
  }

  async #pushManifest(repository: string, label: string, tag?: string): Promise<ContentDigest> {
    return (await this.#pushDescribed(repository, label, tag)).digest;
  }

  async #pushDescribed(
    repository: string,
    label: string,
    tag?: string,
  ): Promise<{ digest: ContentDigest; size: number }> {
    const store = this.#store(repository);
    const put = async (mediaType: string, text: string) => {
      const bytes = Buffer.from(text);
      const digest: ContentDigest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
      await store.pushBlob({ mediaType, digest, size: bytes.length }, bytes);
      return { mediaType, digest, size: bytes.length };
    };
    const config = await put("application/vnd.oci.image.config.v1+json", JSON.stringify({ label }));
    const layers = [await put("application/vnd.oci.image.layer.v1.tar", label)];
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config, layers }));
    return (await store.pushManifest(bytes, MANIFEST, tag === undefined ? {} : { tag })).descriptor;
  }

  /** Lists the tags of an image's repository. */
  async tags({ tagged }: Pick<PushedImage, "tagged">): Promise<readonly string[]> {
    return await this.#store(tagged.slice(this.host.length + 1).replace(/:v1$/, "")).listTags();
  }

  /** Runs a command line. */
  async run(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Run> {
    return await runCommand(args, { environment: { COSIGN_PASSWORD: PASSWORD, HOME: this.#folder, ...environment } });
  }

  /** Runs a command line that has to succeed. */
  async must(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Run> {
    const run = await this.run(args, environment);
    if (run.status !== 0) throw new Error(`cosign-ts ${args.join(" ")}: ${run.stderr}`);
    return run;
  }

  /** Makes a key pair. @returns the flags to sign and to verify with. */
  async keys(name: string): Promise<{ readonly sign: readonly string[]; readonly verify: readonly string[] }> {
    await this.must(["generate-key-pair", "--output-key-prefix", this.at(name)]);
    return { sign: ["--key", this.at(`${name}.key`)], verify: ["--key", this.at(`${name}.pub`)] };
  }

  /** Flags to sign without a certificate's need for a person. */
  async token(email = "alice@example.com"): Promise<readonly string[]> {
    return ["--identity-token", await this.sandbox.token("email", { email })];
  }

  identity(email = "alice@example.com"): readonly string[] {
    return ["--certificate-identity", email, "--certificate-oidc-issuer", this.sandbox.urls.oidc];
  }

  get trust(): readonly string[] {
    return ["--trusted-root", this.sandbox.paths.trustedRoot];
  }

  /** Flags to sign with what the sandbox has: Rekor v2 and a timestamp, Rekor v1, or nothing. */
  services(kind: "v1" | "v2" | "none" = "v2"): readonly string[] {
    const { signingConfig, signingConfigRekor1 } = this.sandbox.paths;
    const config = kind === "v2" ? signingConfig : kind === "v1" ? signingConfigRekor1 : this.#emptyConfig();
    return ["--yes", "--signing-config", config, ...(kind === "none" ? [] : this.trust)];
  }

  /** Flags to sign as cosign did before bundles: with Rekor v1, with a timestamp besides, or without either. */
  legacy(kind: "v1" | "timestamp" | "none" = "v1"): readonly string[] {
    const { rekor1, fulcio, tsa } = this.sandbox.urls;
    if (kind === "none") return ["--new-bundle-format=false", ...this.services("none")];
    return [
      "--yes",
      "--new-bundle-format=false",
      "--use-signing-config=false",
      "--fulcio-url",
      fulcio,
      "--rekor-url",
      rekor1,
      ...(kind === "timestamp" ? ["--timestamp-server-url", tsa] : []),
      ...this.trust,
    ];
  }

  #emptyConfig(): string {
    const { mediaType } = JSON.parse(readFileSync(this.sandbox.paths.signingConfig, "utf8")) as { mediaType: string };
    return this.write("no-services.json", JSON.stringify({ mediaType }));
  }
}
