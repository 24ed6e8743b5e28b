import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";

import { parsePublicKeyPem } from "../../src/crypto/public-key.ts";
import { SigstoreError } from "../../src/errors.ts";
import { parseTrustedRoot } from "../../src/trust/trusted-root.ts";
import { verify } from "../../src/verify/verifier.ts";
import { REAL_CASES, realBytes } from "../support/real.ts";
import { isInSample, TAKES_ALL } from "../support/samples.ts";
import { sharedAvailable, sharedDir } from "../support/shared.ts";
import { askSigstoreJs, type Question } from "../support/sigstore-js.ts";
import { DIFFERENCES } from "./differences.ts";

interface Asked extends Question {
  readonly name: string;
}

const text = new TextDecoder();
const IDENTITY =
  "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const ISSUER = "https://token.actions.githubusercontent.com";

/** What is signed, also beside another root; and a sample of what differs in the artifact or the issuer. */
function realQuestions(): readonly Asked[] {
  const roots = { a: realBytes("a/trusted_root.json"), b: realBytes("b/trusted_root.json") };
  const other = realBytes("artifacts/world.txt");
  return REAL_CASES.flatMap((one, index) => {
    const bundle = realBytes(one.bundle);
    const artifact = realBytes(one.artifact);
    const signer =
      one.signer.kind === "certificate"
        ? { identity: one.signer.identity, issuer: one.signer.issuer }
        : { keyPem: text.decode(realBytes(one.signer.key)) };
    const question = {
      bundle,
      artifact,
      trustedRoot: roots[one.root],
      signer,
      tlogThreshold: one.logEntries.length === 0 ? 0 : 1,
    };
    const another = text.decode(artifact) === text.decode(other) ? realBytes("artifacts/hello.txt") : other;
    const changed = [
      { name: `${one.name}, another artifact`, ...question, artifact: another },
      ...("identity" in signer
        ? [{ name: `${one.name}, another issuer`, ...question, signer: { ...signer, issuer: `${signer.issuer}/` } }]
        : []),
    ];
    return [
      { name: one.name, ...question },
      { name: `${one.name}, another root`, ...question, trustedRoot: one.root === "a" ? roots.b : roots.a },
      ...changed.filter((_, at) => isInSample(2 * index + at, 4)),
    ];
  });
}

function conformanceQuestions(): readonly Asked[] {
  if (!sharedAvailable()) return [];
  const folder = join(sharedDir, "conformance", "bundle-verify");
  const production = readFileSync(join(sharedDir, "conformance", "trusted-roots", "production.trusted_root.json"));
  const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return files.map(({ name }) => {
    const has = readdirSync(join(folder, name));
    const read = (file: string): Uint8Array => readFileSync(join(folder, name, file));
    return {
      name: `conformance/${name}`,
      bundle: read("bundle.sigstore.json"),
      artifact: has.includes("artifact") ? read("artifact") : readFileSync(join(folder, "a.txt")),
      trustedRoot: has.includes("trusted_root.json") ? read("trusted_root.json") : production,
      signer: has.includes("key.pub")
        ? { keyPem: text.decode(read("key.pub")) }
        : { identity: IDENTITY, issuer: ISSUER },
      tlogThreshold: 1,
    };
  });
}

/** @returns `undefined` when we accept, otherwise our code. */
async function askOurselves(question: Question): Promise<string | undefined> {
  const { bundle, artifact, trustedRoot, signer, tlogThreshold } = question;
  try {
    const options = { trustedRoot: parseTrustedRoot(trustedRoot), thresholds: { tlog: tlogThreshold } };
    await ("keyPem" in signer
      ? verify(bundle, artifact, { ...options, keys: [{ publicKey: parsePublicKeyPem(signer.keyPem) }] })
      : verify(bundle, artifact, {
          ...options,
          identity: { subjectAlternativeName: signer.identity, issuer: signer.issuer },
        }));
    return undefined;
  } catch (error) {
    if (error instanceof SigstoreError) return error.code;
    throw error;
  }
}

describe("verdicts beside those of @sigstore/verify", () => {
  const differing: {
    readonly name: string;
    readonly ours: string;
    readonly theirs: string;
    readonly rule: string | undefined;
  }[] = [];
  let asked = 0;

  beforeAll(async () => {
    for (const question of [...realQuestions(), ...conformanceQuestions()]) {
      asked += 1;
      const ours = (await askOurselves(question)) ?? "accepted";
      const theirs = askSigstoreJs(question) ?? "accepted";
      if ((ours === "accepted") === (theirs === "accepted")) continue;
      const rule = DIFFERENCES.find((difference) => difference.applies(question.name, ours, theirs));
      differing.push({ name: question.name, ours, theirs, rule: rule?.reason });
    }
  }, 120_000);

  test("agree, but for the differences that are listed", () => {
    expect(asked).toBeGreaterThan(TAKES_ALL ? 400 : 200);
    expect(differing.filter(({ rule }) => rule === undefined)).toEqual([]);
  });

  test.for(DIFFERENCES)("differ still where it is listed: $reason", ({ reason }) => {
    expect(differing.some(({ rule }) => rule === reason)).toBe(true);
  });
});
