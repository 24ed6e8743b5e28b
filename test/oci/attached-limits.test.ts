import { expect, test, vi } from "vitest";
import type * as Limits from "../../src/limits.ts";
import { RegistryClient } from "../../src/oci/registry/registry-client.ts";
import { readTree } from "../../src/oci/tree.ts";
import { HOST, openImages } from "../support/images.ts";
import { refusal } from "../support/outcome.ts";
import { makeSandbox } from "../support/sandbox/sandbox.ts";

vi.mock("../../src/limits.ts", async (original) => ({
  ...(await original<typeof Limits>()),
  MAX_IMAGE_SIGNATURES: 2,
}));

test("more things attached to an image than are read are an error, and none is left out", async () => {
  const world = openImages(makeSandbox());
  const image = await world.image("app", "v1");
  const attach = async (label: string): Promise<void> =>
    void (await world.attachBundle(image, "{}", { artifactType: "application/x", annotations: { label } }));
  const read = (): ReturnType<typeof readTree> =>
    readTree(`${HOST}/app:v1`, { registry: new RegistryClient({ fetch: world.fetch, environment: {} }) });
  for (const label of ["1", "2"]) await attach(label);
  expect((await read()).attached).toHaveLength(2);
  await attach("3");
  expect((await refusal(read())).code).toBe("LIMIT_EXCEEDED");
});
