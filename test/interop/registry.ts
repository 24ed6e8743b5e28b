import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PEOPLE, issuerOf } from "./cosign-arguments.ts";
import { runProgram, type Outcome, type Stack } from "./stack.ts";
import { readOutcome, type Verdict } from "./verifiers.ts";

/** What the questions to the registry of the sandbox need. */
export interface RegistryQuestions {
  /** A sandbox: its registry can be told how to be. */
  readonly stack: Stack;
  readonly bin: string;
  /** Makes an empty home folder. */
  readonly home: (name: string) => string;
  readonly work: string;
}

/** How the registry is told to be, in ways that clients must be able to live with. */
const KINDS = [
  "as it is",
  "no-referrers",
  "no-referrers-error",
  "absolute-location",
  "redirect-blobs",
  "basic-auth",
  "token-auth",
  "private-token-auth",
] as const;

/** How it lies, and what must not be taken from it. */
const LIES = {
  "wrong-bytes": ["crane", "oras", "skopeo", "cosign"],
  "wrong-digest": ["oras"],
  "endless-content": ["crane", "skopeo"], // oras reads for ever
  "foreign-referrers": ["cosign, not signed"],
} as const;

const SKOPEO = "/usr/bin/skopeo";

/**
 * Lets crane, oras, skopeo and cosign push, list, copy, pull, attach, sign and verify with the registry of the sandbox, in all the ways
 * in which registries are different, and then with one that lies.
 */
export async function askRegistry(questions: RegistryQuestions): Promise<{ lines: string[]; failures: string[] }> {
  const { stack, bin, home, work } = questions;
  const { registry, pageUrl } = stack;
  if (registry === undefined || pageUrl === undefined)
    throw new Error("the stack has no registry that can be told how to be");
  const lines: string[] = [];
  const failures: string[] = [];
  const check = (title: string, good: boolean, found: string): void => {
    lines.push(`${good ? "ok" : "! "} ${title}${good ? "" : `: ${found}`}`);
    if (!good) failures.push(`registry: ${title}: ${found}`);
  };
  const expectOutcome = (title: string, outcome: Outcome, expected: Verdict, stdout?: RegExp): void => {
    const { verdict, reason } = readOutcome(outcome);
    const said = stdout === undefined || stdout.test(outcome.stdout);
    check(
      title,
      verdict === expected && said,
      said ? `${verdict} (${reason})` : `it says ${JSON.stringify(outcome.stdout)}`,
    );
  };

  const folder = join(work, "registry");
  mkdirSync(folder);
  const at = (name: string): string => join(folder, name);
  writeFileSync(at("content.txt"), "content\n");
  writeFileSync(at("predicate.json"), "{}");
  const homes = { known: home("registry"), unknown: home("registry-unknown") };
  mkdirSync(join(homes.known, ".docker"), { recursive: true });
  const auth = Buffer.from("sandbox:sandbox").toString("base64");
  writeFileSync(join(homes.known, ".docker", "config.json"), JSON.stringify({ auths: { [registry]: { auth } } }));
  const run = (program: string, args: readonly string[], who: keyof typeof homes = "known"): Promise<Outcome> =>
    runProgram(program === "skopeo" ? SKOPEO : program === "tar" ? "tar" : join(bin, program), args, {
      cwd: folder,
      home: homes[who],
    });
  await run("tar", ["-cf", "layer.tar", "content.txt"]);

  const tell = async (kind: string): Promise<void> => {
    await fetch(`${pageUrl}/faults/registry`, { method: "DELETE" });
    if (kind === "as it is") return;
    const body = JSON.stringify({ service: "registry", kind });
    const answer = await fetch(`${pageUrl}/faults`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    if (!answer.ok) throw new Error(`${kind}: ${await answer.text()}`);
  };

  const alice = PEOPLE.email;
  const identity = (who: string): readonly string[] => [
    "--certificate-identity",
    who,
    "--certificate-oidc-issuer",
    issuerOf(alice, stack.oidcUrl),
  ];
  const trust = ["--trusted-root", stack.trustedRoot, "--allow-http-registry"];
  const verify = (image: string, who: string = alice.identity): Promise<Outcome> =>
    run("cosign", ["verify", ...trust, ...identity(who), image]);

  /** Signs an image, and asks who signed it. */
  const signAndVerify = async (kind: string, image: string): Promise<void> => {
    const services = async (): Promise<readonly string[]> => [
      "--yes",
      "--identity-token",
      await stack.token(alice.kind, alice.claims),
      "--signing-config",
      stack.signingConfig,
      ...trust,
    ];
    expectOutcome(`${kind}: cosign verify, not signed`, await verify(image), "refuse");
    expectOutcome(`${kind}: cosign sign`, await run("cosign", ["sign", ...(await services()), image]), "accept");
    expectOutcome(`${kind}: cosign verify`, await verify(image), "accept");
    expectOutcome(`${kind}: cosign verify, another person`, await verify(image, "bob@example.com"), "refuse");
    const attest = ["attest", "--type", "custom", "--predicate", at("predicate.json"), ...(await services()), image];
    expectOutcome(`${kind}: cosign attest`, await run("cosign", attest), "accept");
    const verifyAttestation = (type: string): Promise<Outcome> =>
      run("cosign", ["verify-attestation", "--type", type, ...trust, ...identity(alice.identity), image]);
    expectOutcome(`${kind}: cosign verify-attestation`, await verifyAttestation("custom"), "accept");
    expectOutcome(`${kind}: cosign verify-attestation, another type`, await verifyAttestation("spdx"), "refuse");
    const tree = await run("cosign", ["tree", "--allow-http-registry", image]);
    expectOutcome(`${kind}: cosign tree`, tree, "accept", /sigstore\.dev\/cosign\/sign\/v1/);
  };

  let image = "";
  for (const kind of KINDS) {
    await tell(kind);
    const repository = `${registry}/${kind.replaceAll(" ", "-")}`;
    const expectRun = async (
      args: readonly string[],
      expected: Verdict = "accept",
      stdout?: RegExp,
    ): Promise<Outcome> => {
      const [program = "", ...rest] = args;
      const outcome = await run(program, rest);
      expectOutcome(`${kind}: ${program} ${rest[0]}`, outcome, expected, stdout);
      return outcome;
    };
    await expectRun(["crane", "append", "-f", at("layer.tar"), "-t", `${repository}/app:v1`]);
    const digest = (
      await expectRun(["crane", "digest", `${repository}/app:v1`], "accept", /^sha256:[0-9a-f]{64}\n$/)
    ).stdout.trim();
    image = `${repository}/app@${digest}`;
    await expectRun(["crane", "copy", `${repository}/app:v1`, `${repository}/copy:v2`]);
    await expectRun(["crane", "ls", `${repository}/copy`], "accept", /^v2\n$/);
    await expectRun(["crane", "pull", `${repository}/copy:v2`, at("pulled.tar")]);
    await expectRun(["crane", "push", at("pulled.tar"), `${repository}/pushed:v3`]);
    await expectRun(["crane", "validate", "--remote", `${repository}/pushed:v3`]);
    await expectRun(["crane", "delete", `${repository}/copy:v2`]);
    await expectRun(["crane", "ls", `${repository}/copy`], "accept", /^$/);

    const file = `${kind.replaceAll(" ", "-")}.txt`;
    writeFileSync(at(file), `${kind}\n`);
    await expectRun(["oras", "push", "--plain-http", `${repository}/art:v1`, `${file}:text/plain`]);
    await expectRun([
      "oras",
      "attach",
      "--plain-http",
      "--artifact-type",
      "text/x-note",
      `${repository}/art:v1`,
      `${file}:text/plain`,
    ]);
    await expectRun(["oras", "discover", "--plain-http", `${repository}/art:v1`], "accept", /text\/x-note/);
    await expectRun(["oras", "pull", "--plain-http", "-o", at("out"), `${repository}/art:v1`]);
    check(
      `${kind}: oras pulls what it pushed`,
      readFileSync(join(at("out"), file), "utf8") === `${kind}\n`,
      "other bytes",
    );

    if (existsSync(SKOPEO)) {
      const layout = `oci:${at(`layout-${kind.replaceAll(" ", "-")}`)}:v1`;
      await expectRun(["skopeo", "copy", "--src-tls-verify=false", `docker://${repository}/app:v1`, layout]);
      await expectRun(["skopeo", "copy", "--dest-tls-verify=false", layout, `docker://${repository}/skopeo:v1`]);
      await expectRun(
        ["skopeo", "inspect", "--tls-verify=false", `docker://${repository}/skopeo:v1`],
        "accept",
        /"Digest": "sha256:/,
      );
    }
    await signAndVerify(kind, image);
    const { stdout: tags } = await run("crane", ["ls", `${repository}/app`]);
    const hasFallback = tags.includes(digest.replace(":", "-"));
    check(
      `${kind}: referrers ${hasFallback ? "under a tag" : "by the API"}`,
      hasFallback === kind.startsWith("no-referrers"),
      `tags ${JSON.stringify(tags)}`,
    );
    if (kind.endsWith("-auth")) {
      const stranger = (args: readonly string[]): Promise<Outcome> => run("crane", args, "unknown");
      const mayPull = kind === "token-auth";
      expectOutcome(
        `${kind}: a stranger pulls`,
        await stranger(["pull", `${repository}/app:v1`, at("strange.tar")]),
        mayPull ? "accept" : "refuse",
      );
      expectOutcome(
        `${kind}: a stranger pushes`,
        await stranger(["push", at("pulled.tar"), `${repository}/strange:v1`]),
        "refuse",
      );
    }
  }

  const truthful = `${registry}/as-it-is`;
  const [, digest = ""] = image.split("@");
  const unsigned = `${truthful}/other:v1`;
  writeFileSync(at("content.txt"), "other content\n");
  await run("tar", ["-cf", "other.tar", "content.txt"]);
  await tell("as it is");
  await run("crane", ["append", "-f", at("other.tar"), "-t", unsigned]);
  await run("crane", ["copy", unsigned, `${truthful}/app:other`]);
  const attempts: Readonly<Record<string, () => Promise<Outcome>>> = {
    crane: () => run("crane", ["validate", "--remote", `${truthful}/app:v1`]),
    oras: () => run("oras", ["pull", "--plain-http", "-o", at("lied"), `${truthful}/art:v1`]),
    skopeo: () =>
      run("skopeo", ["copy", "--src-tls-verify=false", `docker://${truthful}/app:v1`, `oci:${at("lied-layout")}:v1`]),
    cosign: () => verify(`${truthful}/app@${digest}`),
    "cosign, not signed": () => verify(`${truthful}/app:other`),
  };
  for (const [lie, who] of Object.entries(LIES)) {
    await tell(lie);
    for (const name of who)
      if (name !== "skopeo" || existsSync(SKOPEO))
        expectOutcome(
          `${lie}: ${name}`,
          (await attempts[name]?.()) ?? { status: -1, stdout: "", stderr: "" },
          "refuse",
        );
  }
  await tell("as it is");
  expectOutcome("afterwards: cosign", await verify(`${truthful}/app@${digest}`), "accept");
  return { lines, failures };
}
