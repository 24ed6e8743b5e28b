import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { defaultCryptoProvider } from "../../src/crypto/provider.ts";
import { parseTimestampResponse, type TimestampToken } from "../../src/tsa/timestamp-response.ts";
import { verifyTimestamp, type TimestampAuthority } from "../../src/tsa/verify.ts";
import { parseCertificatesPem } from "../../src/x509/certificate.ts";
import { formatName } from "../../src/x509/name.ts";
import { bytes } from "../support/certificates.ts";
import { projectDir } from "../support/shared.ts";

interface Shown {
  readonly authority: string;
  readonly policy: string;
  readonly hash: string;
  readonly serialNumber: string;
  readonly time: string;
  readonly accuracy: string;
  readonly ordering: string;
  readonly nonce: string;
  readonly tsa: string;
}

const folder = resolve(projectDir, "testdata", "tsa");
const read = (name: string): Uint8Array => bytes(readFileSync(resolve(folder, name)));
const cases = JSON.parse(readFileSync(resolve(folder, "cases.json"), "utf8")) as Readonly<Record<string, Shown>>;
const data = read("data");
const crypto = defaultCryptoProvider();

const authority = (name: string): TimestampAuthority => ({
  certificates: parseCertificatesPem(readFileSync(resolve(folder, `${name}.pem`), "utf8")),
  validFor: { start: new Date("2025-01-01T00:00:00Z") },
  uri: `https://${name}.example`,
});

const hex = (value: bigint): string => {
  const digits = value.toString(16).toUpperCase();
  return `0x${digits.length % 2 === 0 ? digits : `0${digits}`}`;
};
const number = (value: number): string => (value === 0 ? "unspecified" : hex(BigInt(value)));

/** Writes a token as `openssl ts -reply -text` does. */
function show(token: TimestampToken): Omit<Shown, "authority"> {
  const {
    policy,
    imprint,
    serialNumber,
    genTime,
    accuracy = { seconds: 0, milliseconds: 0, microseconds: 0 },
    ordering,
    nonce,
    tsa,
  } = token;
  const [date, clock = ""] = genTime.toISOString().split("T");
  const [year, , day] = (date ?? "").split("-");
  const month = genTime.toLocaleString("en-US", { month: "short", timeZone: "UTC" });
  const names = tsa === undefined ? "" : formatName(tsa.content).split(",").reverse().join("/");
  return {
    policy,
    hash: imprint.algorithm.hash ?? "",
    serialNumber: hex(serialNumber),
    time: `${month} ${String(Number(day)).padStart(2)} ${clock.replace(/(\.000)?Z$/, "")} ${year} GMT`,
    accuracy: `${number(accuracy.seconds)} seconds, ${number(accuracy.milliseconds)} millis, ${number(accuracy.microseconds)} micros`,
    ordering: ordering ? "yes" : "no",
    nonce: nonce === undefined ? "unspecified" : hex(nonce),
    tsa: tsa === undefined ? "unspecified" : `DirName:/${names}`,
  };
}

describe("verifyTimestamp (tokens that openssl made and accepted)", () => {
  test.for(Object.entries(cases))("reads %s as openssl does", ([name, shown]) => {
    // openssl shows microseconds, a Date has milliseconds
    const time = shown.time.replace(/(\.\d{3})\d*/, "$1");
    expect({ authority: shown.authority, ...show(parseTimestampResponse(read(`${name}.tsr`))) }).toEqual({
      ...shown,
      time,
    });
  });

  test.for(Object.entries(cases))(
    "proves %s, for its own authority and data alone",
    async ([name, { authority: own }]) => {
      const token = parseTimestampResponse(read(`${name}.tsr`));
      const known = authority(own);
      expect(
        await verifyTimestamp(token, data, [authority(own === "rsa" ? "p256" : "rsa"), known], { crypto }),
      ).toMatchObject({ time: token.genTime, authority: known });
      await expect(verifyTimestamp(token, bytes(data, 0), [known], { crypto })).rejects.toThrow(
        expect.objectContaining({ code: "TIMESTAMP_IMPRINT_MISMATCH" }),
      );
    },
  );

  test("takes the signer from the token where the root lists the issuers alone", async () => {
    const { certificates, ...rest } = authority("p256");
    const issuers = { ...rest, certificates: certificates.slice(1) };
    for (const name of ["p256-sha256", "p256-ess-sha1", "p256-ess-chain"]) {
      expect(
        await verifyTimestamp(parseTimestampResponse(read(`${name}.tsr`)), data, [issuers], { crypto }),
      ).toMatchObject({ authority: issuers });
    }
    expect(
      await verifyTimestamp(parseTimestampResponse(read("p256-no-certificates.tsr")), data, [issuers], { crypto }),
    ).toBeUndefined();
  });

  test("refuses an imprint of SHA-1, which openssl accepts", async () => {
    const token = parseTimestampResponse(read("p256-imprint-sha1.tsr"));
    await expect(verifyTimestamp(token, data, [authority("p256")], { crypto })).rejects.toThrow(
      expect.objectContaining({ code: "ALGORITHM_UNSUPPORTED" }),
    );
  });

  test("gives the reason of a rejection", () => {
    const refuse = (): unknown => parseTimestampResponse(read("rejection.tsr"));
    expect(refuse).toThrow(expect.objectContaining({ code: "TIMESTAMP_NOT_GRANTED", found: "rejection" }));
    expect(refuse).toThrow('policy not supported; "Requested policy is not supported."');
  });
});
