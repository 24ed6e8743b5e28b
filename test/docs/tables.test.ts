/** Holds what the documentation lists against what there is. */

import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path/posix";
import { describe, expect, test } from "vitest";
import { GLOBAL_FLAGS } from "../../src/cli/flags.ts";
import { COMMANDS } from "../../src/cli/program.ts";
import { defaultCryptoProvider } from "../../src/crypto/provider.ts";
import { SigstoreError, type Check } from "../../src/errors.ts";
import * as limits from "../../src/limits.ts";
import { parseWitnessKey } from "../../src/tlog/cosignature.ts";
import type { VerifierOptions } from "../../src/verify/options.ts";
import { verify } from "../../src/verify/verifier.ts";
import { FULCIO_EXTENSIONS } from "../../src/x509/fulcio.ts";
import { DIFFERENCES } from "../differential/differences.ts";
import { readPage, readPages, tableRows } from "../support/documents.ts";
import { runInProcess } from "../support/program.ts";
import { REAL_CASES, REAL_ROOTS, realBytes, realCase, realOptions, realPolicy } from "../support/real.ts";
import { projectDir } from "../support/shared.ts";

const PAGES = readPages();
const README = readPage("README.md");

describe("links", () => {
  test.for(PAGES.map((page) => [page.path, page] as const))("of %s lead somewhere", ([path, { text }]) => {
    for (const [, target = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [file = "", anchor] = target.split("#");
      const page = file === "" ? path : normalize(join(dirname(path), file));
      expect(existsSync(join(projectDir, page)), `${path}: ${target}`).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(page), `${path}: ${target}`).toContain(anchor);
    }
  });

  test("of docs/README.md lead to every page", () => {
    const { text } = readPage("docs/README.md");
    const pages = PAGES.map(({ path }) => path).filter((path) => /^docs\/(concepts|how-to)\//.test(path));
    expect(pages.filter((path) => !text.includes(`(${path.slice("docs/".length)})`))).toEqual([]);
  });
});

describe("tables", () => {
  test("of checks name every check, and no other", async () => {
    const listed = new Set(codes(tableRows(README, "check")));
    const produced = new Set<string>();
    for (const name of await everyCheckName()) {
      const known = name.replaceAll(/\[\d+\]/g, "[n]");
      produced.add(listed.has(known) ? known : known.replace(/^identity\..*/, "identity.FIELD"));
    }
    // Reached only where a root lists two keys under one log id
    expect([...listed].filter((name) => name !== "tlog[n].log").toSorted()).toEqual([...produced].toSorted());
  });

  test("of error codes name every code, under its class", () => {
    const page = readPage("docs/concepts/errors.md");
    const source = readFileSync(join(projectDir, "src", "errors.ts"), "utf8");
    for (const section of page.text.split(/^## /m).slice(1)) {
      const [, kind = ""] = /^(\w+)Error:/.exec(section) ?? [];
      const union = new RegExp(`export type ${kind}ErrorCode =([^;]*);`).exec(source)?.[1] ?? "";
      const expected = [...union.matchAll(/"(\w+)"/g)].map(([, code = ""]) => code);
      expect(codes(tableRows({ ...page, text: section }, "code")).toSorted(), kind).toEqual(expected.toSorted());
    }
  });

  test("of limits name every limit with its value", () => {
    const rows = tableRows(readPage("docs/concepts/limits.md"), "limit").map(([name = "", value = ""]) => [
      unquote(name),
      amount(value),
    ]);
    expect(Object.fromEntries(rows)).toEqual({ ...limits });
  });

  test("of extensions name every field with its flag and number", async () => {
    const rows = tableRows(readPage("docs/concepts/identity.md"), "field");
    const found = rows.map(([field = "", , number = ""]) => `${unquote(field)} ${number}`);
    const expected = FULCIO_EXTENSIONS.filter(({ field }) => field !== "issuer").map(
      ({ field, oid }) => `${field} ${oid.split(".").at(-1)}`,
    );
    expect(found).toEqual(expected);
    const known = await flagsOf("verify-blob");
    for (const [, flag = ""] of rows) expect(known).toContain(unquote(flag));
  });

  test("of environment variables name those that `env` shows", async () => {
    const { stdout } = await runInProcess(["env", "--show-descriptions=false"]);
    const shown = [...stdout.matchAll(/^(\w+)=/gm)].map(([, name = ""]) => name);
    const listed = tableRows(README, "variable").flatMap(([names = ""]) => names.split(", ").map(unquote));
    expect(listed.toSorted()).toEqual(shown.toSorted());
  });

  test("of commands name every command", () => {
    const listed = tableRows(README, "command").flatMap(([names = ""]) => names.split(", ").map(unquote));
    expect(listed.toSorted()).toEqual(COMMANDS.map(({ name }) => name).toSorted());
  });

  test("for those who come from cosign name every flag", async () => {
    const { text } = readPage("docs/how-to/migrate-from-cosign.md");
    const flags = new Set([...(await flagsOf("verify-blob")), ...(await flagsOf("verify-blob-attestation"))]);
    const named = new Set([...text.matchAll(/--[A-Za-z][A-Za-z0-9-]*/g)].map(([flag]) => flag));
    expect([...flags].filter((flag) => !named.has(flag) && !flag.startsWith("--certificate-"))).toEqual([]);
    const ours = new Set([...flags, "--n", "--name"]);
    expect([...named].filter((flag) => !ours.has(flag))).toEqual([]);
  });
});

test("every difference from @sigstore/verify is explained", () => {
  const text = readPage("docs/concepts/differences.md").text.replaceAll(/\s+/g, " ");
  for (const { reason } of DIFFERENCES) expect(text).toContain(reason);
});

/** Lists the names of all checks that some verification of real bundles runs, of accepted and of refused ones. */
async function everyCheckName(): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  const add = (checks: readonly Check[] = []): void => checks.forEach(({ name }) => names.add(name));
  const vkey = new TextDecoder().decode(realBytes("../checkpoint/witnesses.txt")).split("\n")[0] ?? "";
  const asked: VerifierOptions = {
    witnesses: [await parseWitnessKey(vkey, defaultCryptoProvider())],
    denyList: () => undefined,
  };
  for (const one of REAL_CASES) {
    const bundle = realBytes(one.bundle);
    const artifact = realBytes(one.artifact);
    const options = realOptions(one);
    const thresholds = { ...options.thresholds, timestamp: Math.min(1, one.timestamps) };
    add(
      (
        await verify(bundle, artifact, {
          ...options,
          ...asked,
          thresholds,
          ...realPolicy(one),
          trustedRoot: REAL_ROOTS[one.root],
        })
      ).checks,
    );
    try {
      const other = REAL_ROOTS[one.root === "a" ? "b" : "a"];
      add((await verify(bundle, artifact, { ...options, ...realPolicy(one), trustedRoot: other })).checks);
    } catch (error) {
      if (error instanceof SigstoreError) add(error.report);
    }
  }
  const github = realCase("a/blob-v1-github");
  if (github.signer.kind !== "certificate") throw new Error("it was signed with a key");
  const { identity: subjectAlternativeName, issuer } = github.signer;
  const identity = { subjectAlternativeName, issuer, extensions: { buildTrigger: "push" } };
  const policy = { identity, trustedRoot: REAL_ROOTS.a };
  add((await verify(realBytes(github.bundle), realBytes(github.artifact), policy)).checks);
  return names;
}

async function flagsOf(name: string): Promise<readonly string[]> {
  const command = await COMMANDS.find((listed) => listed.name === name)?.load();
  return [...(command?.flags ?? []), ...GLOBAL_FLAGS].map((flag) => `--${flag.name}`);
}

/** The anchors that headings make, as GitHub makes them. */
function anchorsOf(path: string): readonly string[] {
  const headings = readFileSync(join(projectDir, path), "utf8").matchAll(/^#+ (.*)$/gm);
  return [...headings].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

function codes(rows: readonly (readonly string[])[]): string[] {
  return rows.map(([cell = ""]) => unquote(cell));
}

function unquote(cell: string): string {
  return cell.replaceAll("`", "");
}

function amount(text: string): number {
  const [number = "", unit = ""] = text.split(" ");
  return Number(number.replaceAll(",", "")) * ({ KiB: 1024, MiB: 1024 * 1024 }[unit] ?? 1);
}
