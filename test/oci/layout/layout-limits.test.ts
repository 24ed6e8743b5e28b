import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { packTar } from "modern-tar";
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
  MAX_REFERRERS: 2,
  MAX_LAYOUT_FILES: 12,
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

test("more referrers than are read are an error", async () => {
  const layout = createLayout(join(temporaryFolder(), "layout"));
  const { descriptor } = await layout.pushManifest(utf8(manifestOf()), OCI_MANIFEST, { tag: "v1" });
  const subject = { mediaType: OCI_MANIFEST, digest: descriptor.digest, size: descriptor.size };
  const attach = async (label: string): Promise<void> =>
    void (await layout.pushManifest(utf8(manifestOf({ subject, annotations: { label } })), OCI_MANIFEST));
  for (const label of ["1", "2"]) await attach(label);
  expect((await layout.listReferrers(descriptor.digest)).descriptors).toHaveLength(2);
  await attach("3");
  expect((await refusal(layout.listReferrers(descriptor.digest))).code).toBe("LIMIT_EXCEEDED");
});

test("more files than are looked at are an error, in folders and in tar files", async () => {
  const folder = join(temporaryFolder(), "layout");
  const layout = createLayout(folder);
  const { descriptor } = await layout.pushManifest(utf8(manifestOf()), OCI_MANIFEST, { tag: "v1" });
  const put = async (count: number): Promise<string> => {
    for (let index = 0; index < count; index += 1) {
      const text = `blob ${index}`;
      writeFileSync(join(folder, "blobs", "sha256", digestOf(text).slice("sha256:".length)), text);
    }
    const path = join(temporaryFolder(), "layout.tar");
    const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((one) => {
      const file = join(one.parentPath, one.name);
      if (!one.isFile()) return [];
      const body = readFileSync(file);
      return [{ header: { name: relative(folder, file), size: body.length }, body }];
    });
    writeFileSync(path, await packTar(entries));
    return path;
  };
  // With the manifest, oci-layout and index.json: twelve.
  await openLayout(await put(9));
  const path = await put(12);
  expect((await refusal(openLayout(path))).code).toBe("LIMIT_EXCEEDED");
  expect((await refusal((await openLayout(folder)).store.listReferrers(descriptor.digest))).code).toBe(
    "LIMIT_EXCEEDED",
  );
});
