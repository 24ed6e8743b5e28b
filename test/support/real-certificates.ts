import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { projectDir, sharedAvailable, sharedDir } from "./shared.ts";

/** A certificate found in a bundle or a trusted root. */
export interface FoundCertificate {
  /** The file and the number within it. */
  readonly where: string;
  readonly der: Uint8Array;
}

/** Finds every distinct certificate in the JSON files of the test data and, where present, of the conformance vectors. */
export function realCertificates(): readonly FoundCertificate[] {
  const found = new Map<string, FoundCertificate>();
  const folders = [
    join(projectDir, "testdata", "real"),
    ...(sharedAvailable() ? [join(sharedDir, "conformance")] : []),
  ];
  for (const folder of folders)
    for (const file of jsonFiles(folder))
      for (const certificate of certificatesOf(folder, file))
        found.set(Buffer.from(certificate.der).toString("hex"), certificate);
  return [...found.values()];
}

function jsonFiles(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => /\.jsonl?$/.test(file))
    .map((file) => join(folder, file))
    .filter((file) => statSync(file).isFile() && statSync(file).size < 1_000_000)
    .sort();
}

function certificatesOf(folder: string, file: string): readonly FoundCertificate[] {
  const certificates: FoundCertificate[] = [];
  const walk = (value: unknown, key: string): void => {
    if (typeof value !== "object" || value === null) return;
    for (const [name, member] of Object.entries(value)) {
      const listed = key === "certificates" || key === "certificate" || /^\d+$/.test(key);
      if (name === "rawBytes" && typeof member === "string" && listed) {
        certificates.push({
          where: `${relative(folder, file)}#${certificates.length}`,
          der: Uint8Array.from(Buffer.from(member, "base64")),
        });
      }
      walk(member, name);
    }
  };
  try {
    walk(JSON.parse(readFileSync(file, "utf8")), "");
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return certificates.filter(({ der }) => der[0] === 0x30 && der.length > 200); // not the keys
}
