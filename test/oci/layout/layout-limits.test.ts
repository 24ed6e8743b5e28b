import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import type * as Limits from "../../../src/limits.ts";
import { createLayout, openLayout } from "../../../src/oci/layout/layout.ts";
import { temporaryFolder } from "../../support/cli.ts";
import { digestOf, manifestOf, OCI_MANIFEST } from "../../sandbox/registry/client.ts";
import { utf8 } from "../../support/logs.ts";
import { refusal } from "../../support/outcome.ts";

vi.mock("../../../src/limits.ts", async (original) => ({
  ...(await original<typeof Limits>()),
  MAX_LAYOUT_SCAN_BYTES: 2000,
}));

test("more than is looked into for referrers is an error, and not a layout without them", async () => {
  const folder = join(temporaryFolder(), "layout");
  const layout = createLayout(folder);
  const put = (text: string): void =>
    writeFileSync(join(folder, "blobs", "sha256", digestOf(text).slice("sha256:".length)), text);
  const { descriptor } = await layout.pushManifest(utf8(manifestOf()), OCI_MANIFEST, { tag: "v1" });
  // What begins otherwise is no manifest, however much there is of it.
  put("x".repeat(5000));
  expect(await (await openLayout(folder)).store.listReferrers(descriptor.digest)).toMatchObject({ descriptors: [] });
  put(`{${" ".repeat(1900)}}`);
  const error = await refusal((await openLayout(folder)).store.listReferrers(descriptor.digest));
  expect(error.code).toBe("LIMIT_EXCEEDED");
});
