import { describe, expect, test } from "vitest";
import { findManifestImages } from "../../../src/cli/images/kubernetes-manifest.ts";

const POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n";

describe("findManifestImages (Kubernetes API reference, PodSpec)", () => {
  test("finds every container of a pod, in the order in which they start", async () => {
    const text = `${POD}  containers: [{name: a, image: a:1}, {name: b, image: b:1}]
  initContainers: [{name: c, image: c:1}]
  ephemeralContainers: [{name: d, image: d:1}]
`;
    expect(await findManifestImages(text)).toEqual([
      { image: "c:1", where: "Pod/p: spec.initContainers[0]" },
      { image: "a:1", where: "Pod/p: spec.containers[0]" },
      { image: "b:1", where: "Pod/p: spec.containers[1]" },
      { image: "d:1", where: "Pod/p: spec.ephemeralContainers[0]" },
    ]);
  });

  test.for([
    [
      "Deployment",
      "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {spec: {containers: [{image: a}]}}}\n",
    ],
    [
      "CronJob",
      "apiVersion: batch/v1\nkind: CronJob\nspec: {jobTemplate: {spec: {template: {spec: {containers: [{image: a}]}}}}}\n",
    ],
    ["List", "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Pod, spec: {containers: [{image: a}]}}]\n"],
    [
      "kind that is not known",
      "apiVersion: x/v1\nkind: Rollout\nspec: {a: [{template: {spec: {containers: [{image: a}]}}}]}\n",
    ],
    ["JSON", '{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"image":"a"}]}}'],
    ["second document", `apiVersion: v1\nkind: ConfigMap\ndata: {a: b}\n---\n${POD}  containers: [{image: a}]\n`],
    ["alias", "a: &c {image: a}\nkind: Pod\nspec: {containers: [*c]}\n"],
    ["merge key", "a: &c {image: a}\nkind: Pod\nspec: {containers: [{<<: *c, name: b}]}\n"],
    ["volume", "kind: Pod\nspec: {volumes: [{name: b, image: {reference: a}}, {name: c}]}\n"],
  ] as const)("finds those of a %s", async ([, text]) => {
    expect((await findManifestImages(text)).map(({ image }) => image)).toEqual(["a"]);
  });

  test("finds none where there are none", async () => {
    for (const text of [
      "",
      "---\n",
      "apiVersion: v1\nkind: Service\nspec: {ports: [{port: 80}]}\n",
      "a string",
      "[1, 2]",
    ])
      expect(await findManifestImages(text)).toEqual([]);
  });

  test.for([
    ["what is not YAML", "a: [1"],
    ["a key twice", `${POD}  containers: [{image: a, image: b}]\n`],
    ["an image that is no text", `${POD}  containers: [{image: 3}]\n`],
    ["an image that is empty", `${POD}  containers: [{image: ""}]\n`],
    ["a volume whose image is no text", `${POD}  volumes: [{image: {reference: 3}}]\n`],
    ["lists within lists without an end", "[".repeat(100_000)],
    ["lists within lists", `${"- ".repeat(100_000)}a`],
    ["an alias of nothing", "a: *b\n"],
    ["tabs for white space", "a:\n\t- b\n"],
    [
      "aliases that make much of little",
      `a: &a [x,x,x,x,x,x,x,x,x,x]\n${Array.from({ length: 8 }, (_, index) => `${String.fromCharCode(98 + index)}: &${String.fromCharCode(98 + index)} [${`*${String.fromCharCode(97 + index)},`.repeat(10)}]`).join("\n")}\n`,
    ],
  ] as const)("refuses %s", async ([, text]) => {
    await expect(findManifestImages(text)).rejects.toMatchObject({ code: "YAML_MALFORMED" });
  });

  test("refuses what is too large", async () => {
    await expect(findManifestImages("#".repeat(17 * 1024 * 1024))).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
    await expect(findManifestImages("---\na: b\n".repeat(10_001))).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
  });
});
