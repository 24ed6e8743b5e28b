import { execFileSync } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compareCtLog } from "./ctlog-differential.ts";
import type { Difference } from "./differential.ts";
import { compareFulcio } from "./fulcio-differential.ts";
import { compareRekor1, compareRekor2 } from "./rekor-differential.ts";
import type { Stack } from "./stack.ts";
import { compareTsa } from "./tsa-differential.ts";

/** Sends the real services and ours the same requests, good and bad, and gives the answers that are not alike. */
export async function compareStacks(real: Stack, ours: Stack): Promise<{ lines: string[]; failures: string[] }> {
  const lines: string[] = [];
  const failures: string[] = [];
  const compare = async (service: string, work: Promise<readonly Difference[]>): Promise<void> => {
    let differences: readonly Difference[];
    try {
      differences = await work;
    } catch (error) {
      failures.push(`${service}: a request was not answered: ${String(error)}`);
      lines.push(`!  ${service}: not answered`);
      return;
    }
    lines.push(`${differences.length === 0 ? "ok" : "! "} ${service}: ${differences.length} differences`);
    for (const difference of differences)
      failures.push(
        `${service}, ${difference.request}: the real one answers ${difference.real}, ours ${difference.ours}`,
      );
  };
  // One after the other: what Fulcio issues is what the certificate logs are asked about.
  await compare("Fulcio", compareFulcio(real, ours));
  await compare("certificate log", compareCtLog(real.ctlogUrl, ours.ctlogUrl));
  await compare("Rekor v1", compareRekor1(real.rekor1Url, ours.rekor1Url));
  await compare("Rekor v2", compareRekor2(real.rekor2Url, ours.rekor2Url));
  await compare("timestamp authority", compareTsa(real.tsaUrl, ours.tsaUrl));
  return { lines, failures };
}

/** Lets OpenSSL ask for timestamps and verify them, and refuse those of other data. */
export async function askOpenssl(stack: Stack, work: string): Promise<{ lines: string[]; failures: string[] }> {
  const lines: string[] = [];
  const failures: string[] = [];
  const at = (name: string): string => join(work, name);
  const openssl = (...args: readonly string[]): boolean => {
    try {
      execFileSync("openssl", ["ts", ...args], { stdio: ["ignore", "ignore", "pipe"] });
      return true;
    } catch {
      return false;
    }
  };
  const certificates = (await (await fetch(`${stack.tsaUrl}/certchain`)).text()).split(
    /(?<=-----END CERTIFICATE-----)\n/,
  );
  const chain = certificates.filter((pem) => pem.includes("BEGIN"));
  writeFileSync(at("tsa-root.pem"), chain.at(-1) ?? "");
  writeFileSync(at("tsa-others.pem"), chain.slice(0, -1).join("\n"));
  const check = (what: string, good: boolean): void => {
    lines.push(`${good ? "ok" : "! "} openssl ts: ${what}`);
    if (!good) failures.push(`openssl ts: ${what}`);
  };
  for (const hash of ["sha256", "sha384", "sha512"])
    for (const certificate of [true, false]) {
      const name = `${hash}${certificate ? ", with the certificate" : ""}`;
      writeFileSync(at("data"), `data for ${name}`);
      writeFileSync(at("other-data"), "other data");
      const query = ["-query", "-data", at("data"), `-${hash}`, "-out", at("query.tsq")];
      check(`${name}: query`, openssl(...query, ...(certificate ? ["-cert"] : [])));
      const response = await fetch(stack.tsaUrl, {
        method: "POST",
        body: readFileSync(at("query.tsq")),
        headers: { "content-type": "application/timestamp-query" },
      });
      writeFileSync(at("reply.tsr"), new Uint8Array(await response.arrayBuffer()));
      const trust = ["-CAfile", at("tsa-root.pem"), "-untrusted", at("tsa-others.pem"), "-in", at("reply.tsr")];
      check(`${name}: reply verified`, openssl("-verify", "-queryfile", at("query.tsq"), ...trust));
      check(`${name}: data verified`, openssl("-verify", "-data", at("data"), ...trust));
      check(`${name}: other data refused`, !openssl("-verify", "-data", at("other-data"), ...trust));
    }
  const issuers = chain.map((pem) => new X509Certificate(pem));
  check("chain ends in a root", issuers.at(-1)?.checkIssued(issuers.at(-1) as X509Certificate) === true);
  check(
    "chain has no certificate twice",
    new Set(chain.map((pem) => createHash("sha256").update(pem).digest("hex"))).size === chain.length,
  );
  return { lines, failures };
}
