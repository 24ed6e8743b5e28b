import { describe, expect, test } from "vitest";
import { defaultCryptoProvider } from "../../src/crypto/provider.ts";
import { createWitness, type Witness } from "../../src/sandbox/witness.ts";
import { parseWitnessKey, verifyCosignatures } from "../../src/tlog/cosignature.ts";
import { parseSignedNote } from "../../src/tlog/signed-note.ts";
import {
  base64,
  checkpointText,
  consistencyProof,
  flip,
  lineV2,
  makeLog,
  noteOf,
  outcomeOf,
  treeHash,
  utf8,
  type TestLog,
} from "../support/logs.ts";
import { START, testContext, type TestContext } from "./service-context.ts";

const ORIGIN = "log.test/2026";
const URL_OF_WITNESS = "http://witness.test/w1";
const crypto = defaultCryptoProvider();
const log = makeLog("ed25519", `https://${ORIGIN}`);
const leaves = Array.from({ length: 12 }, (_, index) => utf8(`leaf ${index}`));

async function open(
  context: TestContext = testContext(URL_OF_WITNESS),
): Promise<{ readonly witness: Witness; readonly context: TestContext }> {
  const witness = await createWitness(context, "witness.test/w1");
  witness.addLog(ORIGIN, log.publicKey);
  return { witness, context };
}

const checkpointOf = (size: number, root = treeHash(leaves.slice(0, size)), by: TestLog = log): string => {
  const text = checkpointText(ORIGIN, size, root);
  return noteOf(text, lineV2(by, ORIGIN, text));
};
const proofOf = (from: number, to: number): readonly Uint8Array[] =>
  from === 0 ? [] : consistencyProof(from, leaves.slice(0, to));

interface Answer {
  readonly status: number;
  readonly type: string | null;
  readonly text: string;
}

async function send(witness: Witness, body: string, path = "/add-checkpoint", method = "POST"): Promise<Answer> {
  const request = new Request(`${URL_OF_WITNESS}${path}`, { method, ...(method === "POST" && { body }) });
  const response = await witness.fetch(request);
  return { status: response.status, type: response.headers.get("content-type"), text: await response.text() };
}

const requestOf = (old: number | string, proof: readonly Uint8Array[], checkpoint: string): string =>
  [`old ${old}`, ...proof.map(base64), "", checkpoint].join("\n");

const add = async (witness: Witness, from: number, to: number): Promise<Answer> =>
  await send(witness, requestOf(from, proofOf(from, to), checkpointOf(to)));

describe("createWitness (C2SP tlog-witness)", () => {
  test("cosigns a log as it grows, at its own time", async () => {
    const { witness, context } = await open();
    const key = await parseWitnessKey(witness.vkey, crypto);
    let seen = 0;
    for (const size of [0, 1, 5, 5, 8, 12]) {
      context.time = new Date(START.getTime() + size * 1000);
      const { status, text } = await add(witness, seen, size);
      expect(status).toBe(200);
      const note = parseSignedNote(checkpointOf(size) + text);
      expect(await verifyCosignatures(note, [key], crypto)).toEqual([
        { witness: "witness.test/w1", time: context.time },
      ]);
      seen = size;
    }
  });

  test("cosigns no other tree than the one it saw", async () => {
    const { witness } = await open();
    await add(witness, 0, 5);
    const otherRoot = flip(treeHash(leaves.slice(0, 8)));
    const forked = await send(witness, requestOf(5, proofOf(5, 8), checkpointOf(8, otherRoot)));
    expect(forked.status).toBe(422);
    const same = await send(witness, requestOf(5, [], checkpointOf(5, flip(treeHash(leaves.slice(0, 5))))));
    expect(same.status).toBe(409);
    expect((await add(witness, 5, 8)).status).toBe(200);
  });

  test("tells a log from where to start", async () => {
    const { witness } = await open();
    expect(await add(witness, 3, 5)).toEqual({ status: 409, type: "text/x.tlog.size", text: "0\n" });
    await add(witness, 0, 5);
    expect(await add(witness, 0, 8)).toEqual({ status: 409, type: "text/x.tlog.size", text: "5\n" });
    expect(await add(witness, 4, 8)).toMatchObject({ status: 409, text: "5\n" });
  });

  test("lets only one of two requests go on from the same size", async () => {
    const { witness } = await open();
    await add(witness, 0, 5);
    const statuses = (await Promise.all([add(witness, 5, 8), add(witness, 5, 12)])).map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([200, 409]));
  });

  test("looks once more at what it saw before it signs", async () => {
    const context = testContext(URL_OF_WITNESS);
    let reads = 0;
    const later = utf8(`8\n${base64(treeHash(leaves.slice(0, 8)))}\n`);
    // Another request is answered while this one is verified.
    const store = {
      ...context.store,
      read(name: string): Uint8Array | undefined {
        if (name.startsWith("seen-") && ++reads === 2) context.store.write(name, later);
        return context.store.read(name);
      },
    };
    const { witness } = await open({ ...context, store });
    expect(await add(witness, 0, 5)).toMatchObject({ status: 409, text: "8\n" });
  });

  test("remembers over a restart what it saw", async () => {
    const { witness, context } = await open();
    await add(witness, 0, 5);
    const { witness: again } = await open(context);
    expect(again.vkey).toBe(witness.vkey);
    expect((await add(again, 0, 8)).text).toBe("5\n");
    expect((await add(again, 5, 8)).status).toBe(200);
  });

  const other = makeLog("ed25519", `https://${ORIGIN}`);
  test.for<readonly [string, number, string]>([
    ["of another log", 404, requestOf(0, [], checkpointOf(5).replaceAll(ORIGIN, "other.test"))],
    ["signed by another key", 403, requestOf(0, [], checkpointOf(5, treeHash(leaves.slice(0, 5)), other))],
    ["with a changed size", 403, requestOf(0, [], checkpointOf(5).replace("\n5\n", "\n6\n"))],
    ["older than the old size", 400, requestOf(6, [], checkpointOf(5))],
    ["with a proof from nothing", 422, requestOf(0, proofOf(3, 5), checkpointOf(5))],
    ["that is none", 400, requestOf(0, [], "no checkpoint\n")],
    ["with an old size in words", 400, requestOf("five", [], checkpointOf(5))],
    ["with an old size that begins with zero", 400, requestOf("05", [], checkpointOf(5))],
    ["with a proof that is no base64", 400, `old 0\n?\n\n${checkpointOf(5)}`],
    ["with a hash that is too short", 400, requestOf(0, [utf8("short")], checkpointOf(5))],
    [
      "with more hashes than a proof can have",
      400,
      requestOf(
        0,
        Array.from({ length: 64 }, () => new Uint8Array(32)),
        checkpointOf(5),
      ),
    ],
    ["without a blank line", 400, "old 0\n"],
  ])("refuses a checkpoint %s: %d", async ([, status, body]) => {
    const { witness } = await open();
    expect((await send(witness, body)).status).toBe(status);
    expect((await add(witness, 0, 5)).status).toBe(200); // nothing was remembered of it
  });

  test("ignores signatures of others beside the log's", async () => {
    const { witness } = await open();
    const text = checkpointText(ORIGIN, 5, treeHash(leaves.slice(0, 5)));
    const note = noteOf(text, lineV2(other, ORIGIN, text), lineV2(log, ORIGIN, text));
    expect((await send(witness, requestOf(0, [], note))).status).toBe(200);
  });

  test("has one path and one method", async () => {
    const { witness } = await open();
    expect((await send(witness, "", "/other")).status).toBe(404);
    expect((await send(witness, "", "/add-checkpoint", "GET")).status).toBe(405);
  });

  test("signs nothing that another witness's key would accept", async () => {
    const { witness } = await open();
    const { witness: second } = await open();
    const { text } = await add(witness, 0, 5);
    const key = await parseWitnessKey(second.vkey, crypto);
    const note = parseSignedNote(checkpointOf(5) + text);
    expect(await verifyCosignatures(note, [key], crypto)).toEqual([]);
    expect(await outcomeOf(verifyCosignatures(note, [await parseWitnessKey(witness.vkey, crypto)], crypto))).toBe(
      "accepted",
    );
  });
});
