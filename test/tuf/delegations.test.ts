import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { matchesPathPattern } from "../../src/tuf/delegations.ts";
import { openRepository, type MetadataStore, type VerifiedRepository } from "../../src/tuf/updater.ts";
import { createKey, NOW, TufRepository } from "../support/tuf-repository.ts";

describe("matchesPathPattern (TUF specification §4.5, glob(7))", () => {
  test.for([
    // The examples of the specification.
    ["targets/*.tgz", "targets/foo.tgz"],
    ["targets/*.tgz", "targets/bar.tgz"],
    ["foo-version-?.tgz", "foo-version-2.tgz"],
    ["foo-version-?.tgz", "foo-version-a.tgz"],
    ["*.tgz", "foo.tgz"],
    ["foo.tgz", "foo.tgz"],
    ["*", ""],
    ["*", "anything"],
    ["*", ".hidden"],
    ["**", "anything"],
    ["*a*b*", "xaxxbx"],
    ["a/*/c", "a/b/c"],
    ["/a", "/a"],
    ["?", "ü"],
    ["?", "\u{1F511}"],
    ["[abc]", "b"],
    ["[a-c]x", "bx"],
    ["[!a-c]", "d"],
    ["[^a-c]", "d"],
    ["[]]", "]"],
    ["[!]]", "a"],
    ["[a-]", "-"],
    ["[", "["],
    ["[a", "[a"],
    ["registry.example.org/*", "registry.example.org/keys.json"],
  ] as const)("%s matches %s", ([pattern, path]) => {
    expect(matchesPathPattern(path, pattern)).toBe(true);
  });

  test.for([
    ["targets/*.tgz", "targets/foo.txt"],
    ["foo-version-?.tgz", "foo-version-alpha.tgz"],
    ["*.tgz", "targets/foo.tgz"],
    ["foo.tgz", "bar.tgz"],
    ["*", "a/b"],
    ["**", "a/b"],
    ["a/**/c", "a/b/b/c"],
    ["?", ""],
    ["?", "/"],
    ["a?c", "a/c"],
    ["[a/]", "a/"],
    ["[!a]", "/"],
    ["[abc]", "d"],
    ["[!a-c]", "b"],
    ["A", "a"],
    ["*.TGZ", "foo.tgz"],
    // A name with a backslash is one segment, on Windows too.
    ["a/*", "a\\b"],
    ["a\\*", "a/b"],
    ["a*", "a/b"],
    // What other glob languages give a meaning to stands for itself.
    ["!secret", "public"],
    ["{a,b}", "a"],
    ["@(a|b)", "a"],
    ["+(a)", "aa"],
    ["#*", "x"],
    ["a", "a/"],
    ["a/", "a"],
    ["a", "/a"],
    ["./a", "a"],
    ["a/../b", "b"],
    ["%61", "a"],
  ] as const)("%s does not match %s", ([pattern, path]) => {
    expect(matchesPathPattern(path, pattern)).toBe(false);
  });

  test("matches every name with itself, where it holds no wildcard", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme" }).filter((name) => !/[*?[]/.test(name)),
        (name) => matchesPathPattern(name, name),
      ),
    );
  });

  test("agrees with a regular expression of the same meaning", () => {
    const name = fc.string({ unit: fc.constantFrom("a", "b", "/", "."), maxLength: 8 });
    const pattern = fc.string({ unit: fc.constantFrom("a", "b", "/", ".", "*", "?"), maxLength: 8 });
    fc.assert(
      fc.property(name, pattern, (path, glob) => {
        const meaning = new RegExp(`^${glob.replaceAll(".", "\\.").replaceAll("*", "[^/]*").replaceAll("?", "[^/]")}$`);
        expect(matchesPathPattern(path, glob)).toBe(meaning.test(path));
      }),
      { numRuns: 2000 },
    );
  });

  test("takes no time over a pattern made to take long", () => {
    const started = performance.now();
    expect(matchesPathPattern("a".repeat(2000), `${"*a".repeat(500)}*b`)).toBe(false);
    expect(performance.now() - started).toBeLessThan(10_000); // by trying every way it does not end
  });
});

/** Opens a repository with nothing cached. */
async function open(repository: TufRepository): Promise<VerifiedRepository> {
  const store: MetadataStore = {
    load: (role) => (role === "root" ? repository.latest("root") : undefined),
    loadRootVersion: () => undefined,
    keep: () => undefined,
  };
  const opened = await openRepository({
    metadataUrl: "https://tuf.test",
    store,
    now: NOW,
    download: repository.download,
    mode: "remote",
  });
  repository.requests.length = 0;
  return opened;
}

const code = (value: string): unknown => expect.objectContaining({ code: value }) as unknown;

describe("find (TUF specification §5.6.7; the graphs of tuf-conformance)", () => {
  type Edge = readonly [
    from: string,
    to: string,
    options?: { readonly terminating?: boolean; readonly paths?: string[] },
  ];
  const edge = (from: string, to: string, options: Edge[2] = {}): Edge => [from, to, options];

  function build(edges: readonly Edge[]): TufRepository {
    const repository = new TufRepository();
    for (const [from, to, options] of edges) repository.delegate(from, to, options);
    repository.publishTargets(...new Set(edges.map(([, to]) => to)));
    return repository;
  }

  test.for([
    ["a delegation", [edge("targets", "A")], "A"],
    ["two of one role", [edge("targets", "A"), edge("targets", "B")], "AB"],
    ["two levels", [edge("targets", "A"), edge("targets", "B"), edge("B", "C")], "ABC"],
    [
      "the first branch to its end before the second",
      [edge("targets", "A"), edge("targets", "B"), edge("A", "C"), edge("A", "D")],
      "ACDB",
    ],
    ["three levels", [edge("targets", "A"), edge("targets", "B"), edge("A", "C"), edge("C", "D")], "ACDB"],
    [
      "nothing after a terminating one",
      [edge("targets", "A"), edge("targets", "B"), edge("A", "C", { terminating: true }), edge("A", "D")],
      "AC",
    ],
    [
      "what is below a terminating one",
      [edge("targets", "A"), edge("targets", "B"), edge("A", "C", { terminating: true }), edge("C", "D")],
      "ACD",
    ],
    [
      "no branch whose paths do not match",
      [edge("targets", "A", { paths: ["*.py"] }), edge("targets", "B"), edge("A", "C")],
      "B",
    ],
    [
      "no deeper branch whose paths do not match",
      [edge("targets", "A"), edge("targets", "B"), edge("A", "C", { paths: ["*.py"] }), edge("C", "D")],
      "AB",
    ],
    [
      "a terminating one only where its paths match",
      [edge("targets", "A", { paths: ["*.py"], terminating: true }), edge("targets", "B")],
      "B",
    ],
    [
      "a circle once",
      [edge("targets", "A"), edge("targets", "B"), edge("B", "C"), edge("C", "D"), edge("D", "B")],
      "ABCD",
    ],
    [
      "a role that two delegate to once, by way of the first",
      [edge("targets", "A"), edge("targets", "B"), edge("B", "C"), edge("A", "C")],
      "ACB",
    ],
    [
      "it by way of the second where the first does not match",
      [edge("targets", "A"), edge("targets", "B"), edge("B", "C"), edge("A", "C", { paths: ["*.py"] })],
      "ABC",
    ],
  ] as const)("visits %s", async ([, edges, order]) => {
    const repository = build(edges);
    const opened = await open(repository);
    await expect(opened.find("missing")).resolves.toBeUndefined();
    expect(repository.requests).toEqual(order.split("").map((role) => `1.${role}.json`));
  });

  function buildTree(): TufRepository {
    const repository = new TufRepository();
    repository.delegate("targets", "A", { paths: ["*.doc", "*.md"] });
    repository.delegate("targets", "B", { paths: ["releases/*/*"] });
    repository.delegate("B", "C", { paths: ["releases/x/*"] });
    repository.delegate("B", "D", { paths: ["releases/y/*.zip"] });
    for (const [role, path] of [
      ["targets", "file"],
      ["A", "README.md"],
      ["C", "releases/x/x_v1"],
      ["D", "releases/y/y_v1.zip"],
      ["D", "releases/z/z_v1.zip"],
    ] as const) {
      repository.addTarget(path, `${path} by ${role}`, role);
    }
    repository.publishTargets("A", "B", "C", "D");
    return repository;
  }

  test.for([
    ["file", true, ""],
    ["README.md", true, "A"],
    ["releases/x/x_v1", true, "BC"],
    ["releases/y/y_v1.zip", true, "BD"],
    ["releases/z/z_v1.zip", false, "B"],
  ] as const)("looks for %s (found: %s) in %s", async ([path, found, order]) => {
    const repository = buildTree();
    const target = await (await open(repository)).find(path);
    expect(target?.path).toBe(found ? path : undefined);
    expect(repository.requests).toEqual(order.split("").map((role) => `1.${role}.json`));
  });

  test("prefers the role that is listed first", async () => {
    const repository = build([edge("targets", "B"), edge("targets", "A")]);
    repository.addTarget("file", "by A, which comes second", "A");
    repository.addTarget("file", "by B", "B");
    repository.publishTargets("A", "B");
    await expect((await open(repository)).find("file")).resolves.toMatchObject({ length: 4 });
  });

  test("never takes roles in another order than theirs, whatever they are called", async () => {
    const repository = build([edge("targets", "2"), edge("targets", "1")]);
    // A map of roles by name would put 1 before 2; metadata that would have to be read so is refused.
    await expect(open(repository)).rejects.toThrow(code("TUF_THRESHOLD_NOT_MET"));
  });

  test("ends the search at a role that is not signed as its delegator demands", async () => {
    const repository = build([edge("targets", "A"), edge("targets", "B")]);
    repository.addTarget("file", "content", "B");
    repository.signers["A"] = [createKey()];
    repository.publishTargets("A", "B");
    await expect((await open(repository)).find("file")).rejects.toThrow(code("TUF_THRESHOLD_NOT_MET"));
  });

  test("ends the search at a role that has expired", async () => {
    const repository = build([edge("targets", "A"), edge("targets", "B")]);
    repository.signed("A").expires = "2026-05-31T00:00:00Z";
    repository.addTarget("file", "content", "B");
    repository.publishTargets("A", "B");
    await expect((await open(repository)).find("file")).rejects.toThrow(code("TUF_METADATA_EXPIRED"));
  });

  test("ends the search at a role that is not there, or not in the snapshot", async () => {
    const repository = build([edge("targets", "A")]);
    repository.files.delete("1.A.json");
    await expect((await open(repository)).find("file")).rejects.toThrow(
      expect.objectContaining({ name: "ServiceError", status: 404 }),
    );
    delete repository.snapshot.meta["A.json"];
    repository.publish("snapshot", "timestamp");
    await expect((await open(repository)).find("file")).rejects.toThrow(code("TUF_METADATA_INVALID"));
  });

  test("demands the keys of each delegator, also for a role that another has vouched for", async () => {
    const repository = new TufRepository();
    repository.delegate("targets", "A", { paths: ["a/*"] });
    repository.delegate("targets", "B", { paths: ["b/*"] });
    repository.delegate("A", "C", { paths: ["a/*"] });
    const [genuine] = repository.signers["C"] ?? [];
    repository.signers["C"] = [createKey()]; // B names another key
    repository.delegate("B", "C", { paths: ["b/*"] });
    repository.signers["C"] = [genuine ?? createKey()];
    repository.addTarget("a/file", "content", "C");
    repository.addTarget("b/file", "content", "C");
    repository.publishTargets("A", "B", "C");
    const opened = await open(repository);
    await expect(opened.find("a/file")).resolves.toBeDefined();
    await expect(opened.find("b/file")).rejects.toThrow(code("TUF_THRESHOLD_NOT_MET"));
  });

  test("gives up after as many roles as a search may visit", async () => {
    const repository = new TufRepository();
    const names = Array.from({ length: 40 }, (_, index) => `role-${index}`);
    for (const [index, name] of names.entries()) repository.delegate(names[index - 1] ?? "targets", name);
    repository.publishTargets(...names);
    await expect((await open(repository)).find("file")).rejects.toThrow(code("TUF_TARGET_NOT_FOUND"));
    expect(repository.requests).toHaveLength(31);
  });

  test("finds hashed bins, by prefix and by TAP 15", async () => {
    const digest = createHash("sha256").update("file").digest("hex");
    const other = digest.startsWith("0") ? "1" : "0";
    const prefixed = new TufRepository();
    prefixed.delegate("targets", "no", { path_hash_prefixes: [other] });
    prefixed.delegate("targets", "yes", { path_hash_prefixes: [other, digest.slice(0, 3)] });
    prefixed.publishTargets("no", "yes");
    await (await open(prefixed)).find("file");
    expect(prefixed.requests).toEqual(["1.yes.json"]);

    const succinct = new TufRepository();
    const bin = `bin-${digest.slice(0, 1)}`; // 4 of 256 bits
    succinct.delegate("targets", bin);
    const delegations = succinct.targets["targets"]?.delegations;
    const { keyids = [] } = delegations?.roles?.[0] ?? {};
    Object.assign(delegations ?? {}, {
      roles: undefined,
      succinct_roles: { keyids, threshold: 1, bit_length: 4, name_prefix: "bin" },
    });
    succinct.addTarget("file", "content", bin);
    succinct.publishTargets(bin);
    await expect((await open(succinct)).find("file")).resolves.toMatchObject({ path: "file" });
    expect(succinct.requests).toEqual([`1.${bin}.json`]);
  });

  test.for(["root", "timestamp", "snapshot", "targets"])("refuses a delegated role that is called %s", async (name) => {
    const repository = new TufRepository();
    const { expires } = repository.root;
    repository.delegate("targets", "other");
    const [role] = repository.targets["targets"]?.delegations?.roles ?? [];
    Object.assign(role ?? {}, { name });
    repository.targets["other"] = { _type: "targets", spec_version: "1.0.31", version: 1, expires, targets: {} };
    repository.publishTargets("other");
    await expect(open(repository)).rejects.toThrow(code("TUF_METADATA_INVALID"));
  });

  test.for([
    "?",
    "#",
    "%",
    "%2e%2e",
    "/role",
    "../role",
    "..",
    ".",
    "a b",
    "a\\b",
    "C:\\x",
    "con",
    "ü",
    "\u{1F511}",
    "\u202E",
    "constructor",
    "__proto__",
    " ",
    "a".repeat(300),
  ])("asks for a role that is called %j by its quoted name", async (name) => {
    const repository = new TufRepository();
    Object.setPrototypeOf(repository.targets, null);
    Object.setPrototypeOf(repository.signers, null);
    Object.setPrototypeOf(repository.snapshot.meta, null);
    repository.delegate("targets", name);
    repository.publishTargets(name);
    await expect((await open(repository)).find("missing")).resolves.toBeUndefined();
    expect(repository.requests).toEqual([`1.${encodeURIComponent(name)}.json`]);
    expect(new URL(`https://tuf.test/${repository.requests[0] ?? ""}`).pathname).toBe(
      `/1.${encodeURIComponent(name)}.json`,
    );
  });
});
