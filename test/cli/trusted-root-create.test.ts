import { generateKeyPairSync } from "node:crypto";
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { jsonFile, type Json } from "../support/json-edits.ts";
import { REAL, temporaryFolder } from "../support/cli.ts";
import { runInProcess, type Run } from "../support/program.ts";

interface Root {
  readonly mediaType: string;
  readonly tlogs?: readonly Json[];
  readonly ctlogs?: readonly Json[];
  readonly certificateAuthorities?: readonly {
    readonly certChain: { readonly certificates: readonly { readonly rawBytes: string }[] };
  }[];
  readonly timestampAuthorities?: Root["certificateAuthorities"];
}

/** What the real cosign made of certificates and keys with `trusted-root create`. */
const cosigns = jsonFile("real/a/trusted_root.json") as unknown as Root;
const START = "2026-11-23T21:45:01Z";

const pem = (label: string, base64: string): string =>
  `-----BEGIN ${label}-----\n${base64.replaceAll(/.{64}/g, "$&\n").trimEnd()}\n-----END ${label}-----\n`;
const chain = (authorities: Root["certificateAuthorities"]): string =>
  (authorities?.[0]?.certChain.certificates ?? []).map(({ rawBytes }) => pem("CERTIFICATE", rawBytes)).join("");
const key = (log: Json = {}): string => pem("PUBLIC KEY", (log["publicKey"] as { rawBytes: string }).rawBytes);

/** Puts what cosign was given into a folder. */
function inputs(): string {
  const folder = temporaryFolder();
  const files = {
    "fulcio.pem": chain(cosigns.certificateAuthorities),
    "tsa.pem": chain(cosigns.timestampAuthorities),
    "rekor2.pub": key(cosigns.tlogs?.[0]),
    "rekor1.pub": key(cosigns.tlogs?.[1]),
    "ctlog.pub": key(cosigns.ctlogs?.[0]),
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}

/** The specifications that cosign was given. */
const specs = (folder: string): readonly string[] => [
  `--fulcio=url=http://127.0.0.1:4401,certificate-chain=${folder}/fulcio.pem,start-time=${START}`,
  `--ctfe=url=http://127.0.0.1:4404/ctfe,public-key=${folder}/ctlog.pub,start-time=${START}`,
  `--rekor=url=http://rekor2.local,public-key=${folder}/rekor2.pub,start-time=${START},origin=rekor2.local`,
  `--rekor=url=http://127.0.0.1:4410,public-key=${folder}/rekor1.pub,start-time=${START}`,
  `--tsa=url=http://127.0.0.1:4409/api/v1/timestamp,certificate-chain=${folder}/tsa.pem,start-time=${START}`,
];

const create = (...args: readonly string[]): Promise<Run> =>
  runInProcess(["trusted-root", "create", ...args], { environment: { HOME: "/nonexistent" } });
const created = async (...args: readonly string[]): Promise<Root> => {
  const { status, stdout, stderr } = await create(...args);
  expect([status, stderr.replaceAll(/^WARNING: .*\n/gm, "")]).toEqual([0, ""]);
  return JSON.parse(stdout) as Root;
};

/** cosign lists logs in an order that changes from run to run. */
const sorted = (root: Root): Root => {
  const byId = (logs: readonly Json[] = []): readonly Json[] =>
    logs.toSorted((a, b) => JSON.stringify(a["logId"]).localeCompare(JSON.stringify(b["logId"])));
  return { ...root, tlogs: byId(root.tlogs), ctlogs: byId(root.ctlogs) };
};

describe("trusted-root create", () => {
  test("makes the root that cosign makes of the same services, log ids of origins included", async () => {
    expect(sorted(await created(...specs(inputs())))).toEqual(sorted(cosigns));
  });

  test("makes a root that verifies", async () => {
    const folder = inputs();
    const out = join(folder, "trusted_root.json");
    expect(await create(...specs(folder), "--out", out)).toEqual({ status: 0, stdout: "", stderr: "" });
    const identity = ["--certificate-identity", REAL.identity, "--certificate-oidc-issuer", REAL.issuer];
    expect(
      (await runInProcess(["verify-blob", "--bundle", REAL.bundle, "--trusted-root", out, ...identity, REAL.artifact]))
        .stderr,
    ).toBe("Verified OK\n");
  });

  test("takes the start of an authority from its certificates where none is given: the root's for Fulcio, the leaf's for a TSA", async () => {
    const folder = inputs();
    const root = await created(
      `--fulcio=url=https://f,certificate-chain=${folder}/fulcio.pem,start-time=`,
      `--tsa=url=https://t,certificate-chain=${folder}/tsa.pem`,
    );
    // Both chains of the stack were issued in the same second.
    expect([root.certificateAuthorities?.[0], root.timestampAuthorities?.[0]]).toMatchObject([
      { validFor: { start: "2026-11-23T22:44:58Z" } },
      { validFor: { start: "2026-11-23T22:44:58Z" } },
    ]);
  });

  test("keeps ends, offsets and fractions of seconds, and blanks around parts", async () => {
    const folder = inputs();
    const root = await created(
      `--rekor=url=https://r , public-key=${folder}/rekor1.pub, start-time=2026-01-01T01:02:03.5+02:00 ,end-time=2027-01-01T00:00:00Z`,
    );
    expect(root.tlogs).toMatchObject([
      {
        baseUrl: "https://r",
        publicKey: { validFor: { start: "2025-12-31T23:02:03.500Z", end: "2027-01-01T00:00:00Z" } },
      },
    ]);
  });

  // What cosign 3.1.2 wrote for the same keys.
  test.each([
    [
      "p256",
      "PKIX_ECDSA_P256_SHA_256",
      "QEFabxDvITNSdbnm3ztuhk7jRTsGdBziUg4HGj+58iI=",
      "QEFabxDvITNSdbnm3ztuhk7jRTsGdBziUg4HGj+58iI=",
    ],
    [
      "p384",
      "PKIX_ECDSA_P384_SHA_384",
      "B6jPw5AV3kPbBW7Gj7FDbrM6VisVKPMqBNauJsHeXuk=",
      "B6jPw5AV3kPbBW7Gj7FDbrM6VisVKPMqBNauJsHeXuk=",
    ],
    [
      "p521",
      "PKIX_ECDSA_P521_SHA_512",
      "VTLz9fVgHFFodBgwoLeeGWBTXja4n1H88ktLWbAkYiA=",
      "VTLz9fVgHFFodBgwoLeeGWBTXja4n1H88ktLWbAkYiA=",
    ],
    [
      "ed25519",
      "PKIX_ED25519",
      "A4smwPyLpcuA95bZVZ5AZYX4aSEf08O/ubN+Gj+tudk=",
      "Yoi1qrQUa7cqhiBaYu+HgL9hoXoQl65YlDeZGB+tfv0=",
    ],
    [
      "rsa2048",
      "PKIX_RSA_PKCS1V15_2048_SHA256",
      "FXfGFFgMzSJMaAO0+BqBa1eM/P4kaz1B5jktJ80BNv8=",
      "2yxAW3+x7kAUnE8mP9E3+7Zs5A+TzzmWunN1dYCpdCk=",
    ],
    [
      "rsa3072",
      "PKIX_RSA_PKCS1V15_3072_SHA256",
      "llu6TxvLjmGlWpudQx85V+edhcEySc3VYO6IsrOWnSI=",
      "EvHOQW9H+RdlgILL4KwLUOydtykmzdxiI6BnFT3WH1s=",
    ],
    [
      "rsa4096",
      "PKIX_RSA_PKCS1V15_4096_SHA256",
      "1oO5aPaPDNddfyMK/HUSbyT8fGA2UhKH6wiBEybSEW8=",
      "MFHUkjMfb41iLFBHmeluBNVF/ocJ5J3P4Zx4YYE4Ypw=",
    ],
  ])("names a %s key and its logs as cosign does", async (name, keyDetails, keyHash, noteHash) => {
    const path = REAL.key.replace("p256", name);
    const root = await created(
      `--ctfe=url=https://c,public-key=${path},start-time=${START}`,
      `--rekor=url=https://r,public-key=${path},start-time=${START},origin=${name}.local`,
    );
    expect(root).toMatchObject({
      ctlogs: [{ publicKey: { keyDetails }, logId: { keyId: keyHash } }],
      tlogs: [{ publicKey: { keyDetails }, logId: { keyId: noteHash } }],
    });
  });

  test("knows a certificate transparency log by its key, and says that an origin has no effect, which cosign does not say", async () => {
    const path = REAL.key.replace("p256", "ed25519");
    const { stdout, stderr } = await create(
      `--ctfe=url=https://c,public-key=${path},start-time=${START},origin=log.example`,
    );
    const keyId = "A4smwPyLpcuA95bZVZ5AZYX4aSEf08O/ubN+Gj+tudk="; // with or without origin, as cosign 3.1.2 wrote it
    expect(JSON.parse(stdout)).toMatchObject({ ctlogs: [{ logId: { keyId } }] });
    expect(stderr).toMatch(/^WARNING: origin= has no effect for --ctfe/);
  });

  test("reads cosign's older flags, with warnings, as cosign does", async () => {
    const folder = inputs();
    const fulcio = ["--certificate-chain", `${folder}/fulcio.pem`, "--fulcio-uri", "http://f"];
    const ctfe = ["--ctfe-key", `${folder}/ctlog.pub`, "--ctfe-start-time", START, "--ctfe-url", "http://c"];
    const rekor2 = ["--rekor-key", `${folder}/rekor2.pub,rekor2.local`, "--rekor-url", "http://r"];
    const rekor1 = ["--rekor-key", `${folder}/rekor1.pub`];
    const tsa = ["--timestamp-certificate-chain", `${folder}/tsa.pem`, "--timestamp-uri", "http://t"];
    const { status, stdout, stderr } = await create(...fulcio, ...ctfe, ...rekor2, ...rekor1, ...tsa);
    expect(status).toBe(0);
    expect(stderr).toContain("WARNING: Flag --rekor-key has been deprecated, use --rekor instead\n");
    const ids = cosigns.tlogs?.map((log) => log["logId"]);
    const always = { validFor: { start: "1970-01-01T00:00:00Z" } };
    expect(JSON.parse(stdout)).toMatchObject({
      certificateAuthorities: [{ uri: "http://f" }],
      ctlogs: [{ baseUrl: "http://c", publicKey: { validFor: { start: START } } }],
      tlogs: [
        { baseUrl: "http://r", logId: ids?.[0], publicKey: always },
        { logId: ids?.[1], publicKey: always },
      ],
      timestampAuthorities: [{ uri: "http://t" }],
    });
  });

  const log =
    (rest: string): ((folder: string) => string) =>
    (folder) =>
      `--rekor=url=https://r,public-key=${folder}/rekor1.pub,start-time=${START}${rest}`;
  test.each([
    ["an unknown part", log(",colour=blue"), "USAGE_INVALID", /unknown part "colour=blue"/],
    ["a part without a value sign", log(",origin"), "USAGE_INVALID", /unknown part "origin"/],
    ["a part twice", log(`,start-time=${START}`), "USAGE_INVALID", /start-time= twice/],
    ["no key", () => `--rekor=url=https://r,start-time=${START}`, "USAGE_INVALID", /lacks public-key=/],
    [
      "an empty key",
      () => `--rekor=url=https://r,public-key=,start-time=${START}`,
      "USAGE_INVALID",
      /lacks public-key=/,
    ],
    [
      "no start of a log",
      (folder: string) => `--rekor=url=https://r,public-key=${folder}/rekor1.pub`,
      "USAGE_INVALID",
      /lacks start-time=/,
    ],
    [
      "no address",
      (folder: string) => `--fulcio=certificate-chain=${folder}/fulcio.pem`,
      "USAGE_INVALID",
      /lacks url=/,
    ],
    [
      "an address that is none",
      (folder: string) => `--fulcio=url=fulcio,certificate-chain=${folder}/fulcio.pem`,
      "USAGE_INVALID",
      /invalid url "fulcio"/,
    ],
    [
      "a bad time",
      (folder: string) => `--fulcio=url=https://f,certificate-chain=${folder}/fulcio.pem,start-time=today`,
      "USAGE_INVALID",
      /invalid time "today" for start-time of --fulcio/,
    ],
    ["an end before the start", log(",end-time=2020-01-01T00:00:00Z"), "USAGE_INVALID", /ends before it starts/],
    ["an origin that no checkpoint has", log(",origin=a b"), "USAGE_INVALID", /origin "a b"/],
    [
      "a file that is not there",
      () => "--fulcio=url=https://f,certificate-chain=/nonexistent",
      "FILE_NOT_FOUND",
      /does not exist/,
    ],
    [
      "a key for a chain",
      (folder: string) => `--fulcio=url=https://f,certificate-chain=${folder}/rekor1.pub`,
      "CERTIFICATE_MALFORMED",
      /rekor1\.pub: /,
    ],
    [
      "a chain for a key",
      (folder: string) => `--rekor=url=https://r,public-key=${folder}/fulcio.pem,start-time=${START}`,
      "PUBLIC_KEY_MALFORMED",
      /fulcio\.pem: /,
    ],
    [
      "a CA as timestamp authority",
      (folder: string) => `--tsa=url=https://t,certificate-chain=${folder}/fulcio.pem`,
      "USAGE_INVALID",
      /does not begin with the certificate of a timestamp authority/,
    ],
    [
      "a chain from the root down",
      (folder: string) => {
        const certificates = readFileSync(join(folder, "fulcio.pem"), "utf8").split(/(?<=END CERTIFICATE-----\n)/);
        writeFileSync(join(folder, "down.pem"), certificates.toReversed().join(""));
        return `--fulcio=url=https://f,certificate-chain=${folder}/down.pem`;
      },
      "CERTIFICATE_ISSUER_UNKNOWN",
      /down\.pem: .*put each certificate before that of its issuer/,
    ],
    [
      "a private key",
      (folder: string) => {
        writeFileSync(
          join(folder, "private.pem"),
          generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }),
        );
        return `--rekor=url=https://r,public-key=${folder}/private.pem,start-time=${START}`;
      },
      "PUBLIC_KEY_MALFORMED",
      /private\.pem: /,
    ],
  ])("refuses a service with %s, and writes nothing", async (_, spec, code, message) => {
    const folder = inputs();
    const out = join(folder, "out.json");
    const { status, stdout, stderr } = await create(spec(folder), "--out", out);
    expect([status, stdout, existsSync(out)]).toEqual([1, "", false]);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(new RegExp(String.raw`^Error: [^\n]+; [^\n]+ \[${code}\]\n$`));
  });

  test("refuses one log twice, old and new flags together, and parts of older flags that belong to nothing", async () => {
    const folder = inputs();
    const rekor = log("")(folder);
    expect((await create(rekor, rekor.replace("https://r", "https://q"))).stderr).toContain(
      "one and the same log is described twice",
    );
    expect((await create(rekor, "--rekor-key", `${folder}/rekor2.pub`)).stderr).toContain(
      "cannot use --rekor and old rekor flags at the same time",
    );
    expect((await create("--rekor-url", "https://r")).stderr).toContain(
      "--rekor-url is given more often than --rekor-key",
    );
    expect((await create(rekor, "--no-default-tsa")).stderr).toContain(
      "--no-default-tsa needs --with-default-services",
    );
  });

  describe("--with-default-services --offline", () => {
    const defaults = ["--with-default-services", "--offline"];
    const production = jsonFile("trusted-root/production.trusted_root.json") as unknown as Root;

    test("adds what is embedded, says how old that is, and opens no socket", async () => {
      const { status, stdout, stderr } = await create(...defaults);
      expect(status).toBe(0);
      expect(stderr).toMatch(/^WARNING: offline: [^\n]*embedded[^\n]*\n$/);
      const root = JSON.parse(stdout) as Root;
      expect(root.tlogs?.map((one) => one["logId"])).toEqual(
        expect.arrayContaining(production.tlogs?.map((one) => one["logId"]) ?? [undefined]),
      );
      expect(root.certificateAuthorities?.length).toBeGreaterThan(1);
    });

    test("adds own services to the default ones, and leaves out what --no-default names", async () => {
      const folder = inputs();
      const all = await created(...defaults);
      const more = await created(...defaults, ...specs(folder));
      for (const list of ["tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities"] as const) {
        expect(more[list]?.length).toBe((all[list]?.length ?? 0) + (list === "tlogs" ? 2 : 1));
      }
      const own = await created(
        ...defaults,
        ...specs(folder),
        "--no-default-rekor",
        "--no-default-fulcio",
        "--no-default-ctfe",
        "--no-default-tsa",
      );
      expect(sorted(own)).toEqual(sorted(cosigns));
    });

    test("puts a log that is described in the place of the default one with its id, as cosign does", async () => {
      const folder = inputs();
      const [first] = production.tlogs ?? [];
      writeFileSync(join(folder, "rekor.pub"), key(first));
      const root = await created(
        ...defaults,
        `--rekor=url=https://mine,public-key=${folder}/rekor.pub,start-time=${START}`,
      );
      const same = root.tlogs?.filter((one) => JSON.stringify(one["logId"]) === JSON.stringify(first?.["logId"]));
      expect(same).toMatchObject([{ baseUrl: "https://mine" }]);
    });
  });

  test("writes a new file for its owner alone, and keeps the permissions of one that exists", async () => {
    const folder = inputs();
    const out = join(folder, "out.json");
    await create(...specs(folder), "--out", out);
    expect(statSync(out).mode & 0o777).toBe(0o600);
    writeFileSync(join(folder, "open.json"), "x".repeat(100_000), { mode: 0o644 });
    await create(...specs(folder), "--out", join(folder, "open.json"));
    expect(statSync(join(folder, "open.json")).mode & 0o777).toBe(0o644);
    expect(readFileSync(join(folder, "open.json"))).toEqual(readFileSync(out));
  });

  test("keeps the file that exists where it fails", async () => {
    const folder = inputs();
    const out = join(folder, "out.json");
    writeFileSync(out, "before");
    const before = readdirSync(folder);
    expect((await create("--rekor=url=https://r", "--out", out)).status).toBe(1);
    expect((await create(...specs(folder), "--out", join(folder, "no", "out.json"))).stderr).toContain(
      "its folder does not exist",
    );
    expect([readFileSync(out, "utf8"), readdirSync(folder)]).toEqual(["before", before]);
  });
});
