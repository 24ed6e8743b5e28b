import { Ajv2020 } from "ajv/dist/2020.js";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startSandbox } from "../../../src/sandbox/sandbox.ts";
import { HOST, openImages, payloadFor, REPOSITORY, statementFor, type ImageWorld } from "../../support/images.ts";
import type { Json } from "../../support/json-edits.ts";
import { runInProcess } from "../../support/program.ts";
import { bundleFrom, makeSandbox } from "../../support/sandbox/sandbox.ts";
import { projectDir } from "../../support/shared.ts";

const schema = JSON.parse(readFileSync(join(projectDir, "schema/result.schema.json"), "utf8")) as {
  readonly $defs: Readonly<
    Record<string, { readonly properties?: { readonly verdict?: { readonly const?: string } } }>
  >;
};
const ajv = new Ajv2020({ allErrors: true }).addSchema(schema, "result");
const validate = ajv.compile(schema);

const sandbox = makeSandbox();
const IMAGE = `${HOST}/${REPOSITORY}:v1`;
let world: ImageWorld;
let folder: string;
const write = (name: string, content: string): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

/** Runs a command with `--output json`, whose output must be as the published schema says. */
async function resultOf(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Json> {
  const { status, stdout, stderr } = await runInProcess([...args, "--output", "json"], {
    fetch: world.fetch,
    environment,
  });
  expect([status, stderr.includes("Error:")], stderr).toEqual([0, false]);
  const result = JSON.parse(stdout) as Json;
  expect(validate(result), JSON.stringify(validate.errors)).toBe(true);
  return result;
}

beforeAll(async () => {
  world = openImages(sandbox);
  folder = mkdtempSync(join(tmpdir(), "cosign-ts-test-"));
  const image = await world.image("app", "v1");
  await world.putLayers(image, "sig", [await world.legacySignature(payloadFor(image.digest))]);
  await world.attachBundle(image, bundleFrom(sandbox, { statement: statementFor(image.digest) }).text);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Commands, and the definition of the schema that their results are of. */
const COMMANDS: readonly (readonly [string, string, () => readonly string[]])[] = [
  [
    "attach sbom",
    "attached",
    () => ["attach", "sbom", "--sbom", write("sbom.json", '{"spdxVersion":"SPDX-2.3"}'), IMAGE],
  ],
  ["download signature", "downloaded", () => ["download", "signature", IMAGE]],
  ["download attestation", "downloaded", () => ["download", "attestation", IMAGE]],
  ["download sbom", "downloadedSbom", () => ["download", "sbom", IMAGE]],
  ["tree", "listed", () => ["tree", IMAGE]],
  ["clean", "cleaned", () => ["clean", "--dry-run", IMAGE]],
  ["copy", "copied", () => ["copy", IMAGE, `${HOST}/copy:v1`]],
  ["copy --dry-run", "copied", () => ["copy", "--dry-run", IMAGE, `${HOST}/other:v1`]],
  ["save", "saved", () => ["save", "--dir", join(folder, "layout"), IMAGE]],
  ["load", "copied", () => ["load", "--dir", join(folder, "layout"), `${HOST}/loaded:v1`]],
  ["triangulate", "named", () => ["triangulate", IMAGE]],
  ["generate", "generated", () => ["generate", IMAGE]],
];

describe("--output json of the commands about images", () => {
  test.for(COMMANDS)("%s writes what the schema says", async ([, definition, args]) => {
    const result = await resultOf(args());
    expect(ajv.validate(`result#/$defs/${definition}`, result)).toBe(true);
    expect(result).toMatchObject({ version: 1, verdict: schema.$defs[definition]?.properties?.verdict?.const });
    // No field may be left out, and none added in silence.
    for (const name of Object.keys(result)) {
      const { [name]: _left, ...less } = result;
      const isOptional = !(schema.$defs[definition] as { required: readonly string[] }).required.includes(name);
      expect([name, validate(less)]).toEqual([name, isOptional]);
    }
    expect(validate({ ...result, more: 1 })).toBe(false);
  });

  test("login and logout write what the schema says", async () => {
    const registry = await startSandbox();
    try {
      const environment = { DOCKER_CONFIG: folder };
      const host = new URL(registry.urls.registry).host;
      const run = async (args: readonly string[]): Promise<void> => {
        const { stdout } = await runInProcess([...args, "--output", "json"], {
          fetch: (url, init) => fetch(url, init),
          environment,
        });
        expect(validate(JSON.parse(stdout)), JSON.stringify(validate.errors)).toBe(true);
      };
      await run(["login", host, "-u", "a", "-p", "b"]);
      await run(["logout", host]);
      await run(["logout", host]);
    } finally {
      await registry.close();
    }
  });
});
