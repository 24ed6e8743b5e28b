import { createHash, createPublicKey, verify } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { encodeBoolean, encodeNull, encodeOctetString, encodeOid, encodeSequence } from "../../../src/asn1/writer.ts";
import { defaultCryptoProvider } from "../../../src/crypto/provider.ts";
import { parsePublicKey } from "../../../src/crypto/public-key.ts";
import { createCtLog, type CtLog } from "../../../src/sandbox/ctlog/ct-log.ts";
import { LeafIssuance, newAuthority, type Authority } from "../../../src/sandbox/fulcio/authority.ts";
import { newSerialNumber, signCertificate } from "../../../src/sandbox/fulcio/certificate-builder.ts";
import { newPrivateKey } from "../../../src/sandbox/stored-key.ts";
import { createMemoryStore } from "../../../src/sandbox/store.ts";
import { verifyConsistency, verifyInclusion } from "../../../src/tlog/merkle.ts";
import { parseCertificate } from "../../../src/x509/certificate.ts";
import { parseDetachedSct, verifySct } from "../../../src/x509/sct.ts";
import { clientKey, get, post, URLS } from "../identity-services.ts";
import { START, testContext, type TestContext } from "../service-context.ts";

/** The extended key usage extension of leaf certificates. */
const CODE_SIGNING = encodeSequence(
  encodeOid("2.5.29.37"),
  encodeOctetString(encodeSequence(encodeOid("1.3.6.1.5.5.7.3.3"))),
);
const NAMES = { root: "root", intermediate: "intermediate" };
const crypto = defaultCryptoProvider();
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
const bytesOf = (text: unknown): Buffer => Buffer.from(String(text), "base64");
const sha256 = (...parts: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(createHash("sha256").update(Buffer.concat(parts)).digest());
const leafHashOf = (leafInput: Uint8Array): Uint8Array => sha256(Buffer.of(0), leafInput);

let authority: Authority;
let other: Authority;
beforeAll(async () => {
  authority = await newAuthority(START, await newPrivateKey("p384"), NAMES);
  other = await newAuthority(START, await newPrivateKey("p384"), NAMES);
});

function issuance(by: Authority = authority): LeafIssuance {
  const spki = new Uint8Array(createPublicKey(clientKey().pem).export({ type: "spki", format: "der" }));
  const identity = {
    subjectAlternativeName: { kind: "email", value: "dev@example.com" },
    extensions: { issuer: "https://issuer.example" },
  } as const;
  return new LeafIssuance(by, { spki, identity, notBefore: START });
}

interface OpenLog {
  readonly log: CtLog;
  readonly context: TestContext;
}

async function openLog(store = createMemoryStore()): Promise<OpenLog> {
  const context = testContext(URLS.ctlog, store);
  const log = await createCtLog(context);
  log.acceptRoot(authority.chain[1]);
  return { log, context };
}

async function ask(log: CtLog, path: string): Promise<Record<string, unknown>> {
  const response = await get(log, `${URLS.ctlog}/ct/v1/${path}`);
  expect(response.status, path).toBe(200);
  return (await response.json()) as Record<string, unknown>;
}

async function submit(log: CtLog, endpoint: string, chain: readonly Uint8Array[]): Promise<Response> {
  return await post(log, `${URLS.ctlog}/ct/v1/${endpoint}`, { chain: chain.map(base64) });
}

describe("createCtLog (RFC 6962)", () => {
  test("takes certificates, and gives SCTs over them", async () => {
    const { log } = await openLog();
    const certificate = issuance().certificate();
    const response = await submit(log, "add-chain", [certificate, ...authority.chain]);
    expect(response.status).toBe(200);
    const sct = parseDetachedSct(new Uint8Array(await response.arrayBuffer()));
    expect([sct.logId, sct.timestamp]).toEqual([sha256(log.publicKey), START]);
    const [leaf, issuer] = [certificate, authority.chain[0]].map((der) => parseCertificate(der));
    if (leaf === undefined || issuer === undefined) throw new Error("unreachable");
    await verifySct(sct, leaf, issuer, { publicKey: parsePublicKey(log.publicKey) }, crypto, { detached: true });
  });

  test("takes precertificates, and gives SCTs over what they become", async () => {
    const { log } = await openLog();
    const one = issuance();
    const response = await submit(log, "add-pre-chain", [one.precertificate(), ...authority.chain]);
    const sct = parseDetachedSct(new Uint8Array(await response.arrayBuffer()));
    const [leaf, issuer] = [one.certificate(), authority.chain[0]].map((der) => parseCertificate(der));
    if (leaf === undefined || issuer === undefined) throw new Error("unreachable");
    // Without an SCT list of its own the certificate is the precertificate but for the poison
    await verifySct(sct, leaf, issuer, { publicKey: parsePublicKey(log.publicKey) }, crypto);
    expect([sct.timestamp, log.size]).toEqual([START, 1]);
  });

  test("completes a chain whose root was left out", async () => {
    const { log } = await openLog();
    await submit(log, "add-pre-chain", [issuance().precertificate(), authority.chain[0]]);
    const { entries } = (await ask(log, "get-entries?start=0&end=0")) as { entries: { extra_data: string }[] };
    const extra = bytesOf(entries[0]?.extra_data);
    expect(extra.includes(Buffer.from(authority.chain[0]))).toBe(true);
    expect(extra.subarray(-authority.chain[1].length)).toEqual(Buffer.from(authority.chain[1]));
  });

  test("gives a certificate that it has the SCT of its entry", async () => {
    const { log, context } = await openLog();
    const chain = [issuance().precertificate(), ...authority.chain];
    const first = await log.addPreChain(chain);
    context.time = new Date(START.getTime() + 1000);
    const second = await log.addPreChain(chain);
    expect([second.timestamp, log.size]).toEqual([first.timestamp, 1]);
  });

  test.for([
    ["issued by an authority that it does not know", () => [issuance(other).precertificate(), ...other.chain]],
    ["that names an authority but is not by it", () => [issuance(other).precertificate(), ...authority.chain]],
    ["in another order", () => [issuance().precertificate(), authority.chain[1], authority.chain[0]]],
    ["without the intermediate", () => [issuance().precertificate(), authority.chain[1]]],
    ["with a changed signature", () => [flipLast(issuance().precertificate()), ...authority.chain]],
    ["of a certificate, where a precertificate is to be", () => [issuance().certificate(), ...authority.chain]],
    ["of a root alone", () => [authority.chain[1]]],
    ["of an authority alone", () => [...authority.chain]],
    ["of nothing", () => []],
    ["of what is no certificate", () => [Uint8Array.of(0x30, 0)]],
    ["that is endless", () => [issuance().precertificate(), ...Array.from({ length: 20 }, () => authority.chain[0])]],
  ] as const)("refuses a chain %s", async ([, make]) => {
    const { log } = await openLog();
    const response = await submit(log, "add-pre-chain", make());
    expect([response.status, await response.text(), log.size]).toEqual([
      400,
      expect.stringMatching(/^Bad Request\n/),
      0,
    ]);
  });

  test("refuses a precertificate whose poison is not critical, or not NULL", async () => {
    const { log } = await openLog();
    const spki = new Uint8Array(createPublicKey(clientKey().pem).export({ type: "spki", format: "der" }));
    const oid = encodeOid("1.3.6.1.4.1.11129.2.4.3");
    const precertificate = (...poison: readonly Uint8Array[]): Uint8Array =>
      signCertificate(
        {
          serialNumber: newSerialNumber(),
          notBefore: START,
          notAfter: START,
          subject: authority.issuer.name,
          spki,
          extensions: [CODE_SIGNING, encodeSequence(oid, ...poison)],
        },
        authority.issuer,
      );
    const statusOf = async (...poison: readonly Uint8Array[]): Promise<number> =>
      (await submit(log, "add-pre-chain", [precertificate(...poison), ...authority.chain])).status;
    expect(await statusOf(encodeBoolean(true), encodeOctetString(encodeNull()))).toBe(200);
    expect(await statusOf(encodeOctetString(encodeNull()))).toBe(400);
    expect(await statusOf(encodeBoolean(true), encodeOctetString(encodeBoolean(true)))).toBe(400);
  });

  test("refuses a precertificate where a certificate is to be", async () => {
    const { log } = await openLog();
    expect((await submit(log, "add-chain", [issuance().precertificate(), ...authority.chain])).status).toBe(400);
  });

  test("signs a tree that grows, and proves it", async () => {
    const { log, context } = await openLog();
    const key = createPublicKey({ key: Buffer.from(log.publicKey), format: "der", type: "spki" });
    const heads: { size: bigint; root: Uint8Array }[] = [];
    for (let i = 0; i < 7; i++) {
      context.time = new Date(START.getTime() + i);
      await log.addPreChain([issuance().precertificate(), ...authority.chain]);
      const head = await ask(log, "get-sth");
      const root = bytesOf(head["sha256_root_hash"]);
      expect([head["tree_size"], head["timestamp"]]).toEqual([i + 1, START.getTime() + i]);
      // §3.5: version, signature type tree_hash, timestamp, size, root
      const signed = Buffer.alloc(50);
      signed.writeUInt8(1, 1);
      signed.writeBigUInt64BE(BigInt(START.getTime() + i), 2);
      signed.writeBigUInt64BE(BigInt(i + 1), 10);
      root.copy(signed, 18);
      const signature = bytesOf(head["tree_head_signature"]);
      expect([...signature.subarray(0, 2), signature.readUInt16BE(2)]).toEqual([4, 3, signature.length - 4]);
      expect(verify("sha256", signed, key, signature.subarray(4))).toBe(true);
      heads.push({ size: BigInt(i + 1), root: new Uint8Array(root) });
    }

    const { entries } = (await ask(log, "get-entries?start=0&end=6")) as { entries: { leaf_input: string }[] };
    expect(entries).toHaveLength(7);
    for (const [index, { leaf_input }] of entries.entries()) {
      const leafHash = leafHashOf(bytesOf(leaf_input));
      for (const { size, root } of heads.slice(index)) {
        const query = new URLSearchParams({ hash: base64(leafHash), tree_size: `${size}` }).toString();
        const proof = (await ask(log, `get-proof-by-hash?${query}`)) as { leaf_index: number; audit_path: string[] };
        expect(proof.leaf_index).toBe(index);
        const hashes = proof.audit_path.map((hash) => new Uint8Array(bytesOf(hash)));
        await verifyInclusion({ index: BigInt(index), treeSize: size, leafHash, hashes }, root, crypto);
        const same = await ask(log, `get-entry-and-proof?leaf_index=${index}&tree_size=${size}`);
        expect(same).toMatchObject({ leaf_input, audit_path: proof.audit_path });
      }
    }
    for (const first of heads)
      for (const second of heads.filter(({ size }) => size >= first.size)) {
        const { consistency } = (await ask(log, `get-sth-consistency?first=${first.size}&second=${second.size}`)) as {
          consistency: string[];
        };
        await verifyConsistency(
          {
            size1: first.size,
            root1: first.root,
            size2: second.size,
            root2: second.root,
            hashes: consistency.map((hash) => new Uint8Array(bytesOf(hash))),
          },
          crypto,
        );
      }
  });

  test("continues with the same key and tree when the store is opened again", async () => {
    const store = createMemoryStore();
    const first = await openLog(store);
    const chain = [issuance().precertificate(), ...authority.chain];
    await first.log.addPreChain(chain);
    await first.log.addPreChain([issuance().precertificate(), ...authority.chain]);
    const again = await openLog(store);
    again.context.time = new Date(START.getTime() + 1000);
    expect([again.log.publicKey, again.log.size]).toEqual([first.log.publicKey, 2]);
    expect(await ask(again.log, "get-entries?start=0&end=1")).toEqual(
      await ask(first.log, "get-entries?start=0&end=1"),
    );
    expect((await ask(again.log, "get-sth"))["sha256_root_hash"]).toBe(
      (await ask(first.log, "get-sth"))["sha256_root_hash"],
    );
    expect((await again.log.addPreChain(chain)).timestamp).toEqual(START);
    expect(again.log.size).toBe(2);
  });

  test("signs with another key under its own id where that is forged", async () => {
    const { log, context } = await openLog();
    const one = issuance();
    context.forged = "wrong-key";
    const sct = await log.addPreChain([one.precertificate(), ...authority.chain]);
    expect(sct.logId).toEqual(log.logId);
    const [leaf, issuer] = [one.certificate(), authority.chain[0]].map((der) => parseCertificate(der));
    if (leaf === undefined || issuer === undefined) throw new Error("unreachable");
    await expect(verifySct(sct, leaf, issuer, { publicKey: parsePublicKey(log.publicKey) }, crypto)).rejects.toThrow(
      expect.objectContaining({ code: "SCT_INVALID" }),
    );
  });

  test.for([
    ["get-entries?start=1&end=0", 400],
    ["get-entries?start=0", 400],
    ["get-entries?start=-1&end=0", 400],
    ["get-entries?start=5&end=9", 400],
    ["get-sth-consistency?first=2&second=1", 400],
    ["get-sth-consistency?first=1&second=9", 400],
    ["get-sth-consistency", 400],
    ["get-proof-by-hash?hash=AAAA&tree_size=1", 400],
    ["get-proof-by-hash?tree_size=1", 400],
    [`get-proof-by-hash?hash=${"A".repeat(43)}%3D&tree_size=0`, 400],
    [`get-proof-by-hash?hash=${"A".repeat(43)}%3D&tree_size=1`, 404],
    [`get-proof-by-hash?hash=${"A".repeat(43)}%3D&tree_size=9`, 404],
    ["get-entry-and-proof?leaf_index=1&tree_size=1", 400],
    ["get-entry-and-proof?leaf_index=0&tree_size=9", 400],
    ["add-chain", 405],
    ["other", 404],
  ] as const)("refuses %s", async ([path, status]) => {
    const { log } = await openLog();
    await log.addPreChain([issuance().precertificate(), ...authority.chain]);
    expect((await get(log, `${URLS.ctlog}/ct/v1/${path}`)).status).toBe(status);
  });

  test.for(["", "{", "[]", "null", '{"chain":1}', '{"chain":[]}', '{"chain":["?"]}', '{"chain":[1]}'])(
    "refuses the body %j",
    async (body) => {
      const { log } = await openLog();
      expect((await post(log, `${URLS.ctlog}/ct/v1/add-chain`, body)).status).toBe(400);
    },
  );
});

function flipLast(bytes: Uint8Array): Uint8Array {
  const flipped = new Uint8Array(bytes);
  flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1;
  return flipped;
}
