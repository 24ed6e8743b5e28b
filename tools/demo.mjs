/**
 * Shows what the package does, in a few seconds and without anything outside this machine: `npm run demo`.
 *
 * It runs on the built package, through the names that a user imports.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

import { evidenceToText, initializeTrust, loadTrust, refusalToText, SigstoreError, verify } from "cosign-ts";
import { startSandbox } from "cosign-ts/sandbox";
import { attest, sign } from "cosign-ts/sign";

const folder = mkdtempSync(join(tmpdir(), "cosign-ts-demo-"));
/** @param {string} text */
const say = (text = "") => void process.stdout.write(`${text}\n`);
/** @param {string} text */
const indent = (text) => text.replaceAll(/^/gm, "  ");
/** @param {string} text */
const step = (text) => say(`\n== ${text}`);

const sandbox = await startSandbox();
try {
  const { urls, paths } = sandbox;
  step("A Sigstore of our own is up, in this process");
  say(`  issuer ${urls.oidc}, Fulcio ${urls.fulcio}, Rekor ${urls.rekor2}, timestamps ${urls.tsa}`);

  step("Trust begins with one file, the root of its TUF repository");
  // Where a person has HOME, and what it keeps there.
  const environment = { TUF_ROOT: join(folder, "tuf") };
  await initializeTrust({ mirror: urls.tuf, root: readFileSync(paths.tufRoot), environment });
  const trust = { environment };
  const { trustedRoot } = await loadTrust(trust);
  for (const { baseUrl } of trustedRoot.tlogs) say(`  log ${baseUrl}`);
  for (const { uri } of trustedRoot.certificateAuthorities) say(`  certificate authority ${uri}`);
  for (const { uri } of trustedRoot.timestampAuthorities) say(`  timestamp authority ${uri}`);

  const artifact = join(folder, "app.tar");
  writeFileSync(artifact, "an artifact that somebody built\n".repeat(1000));
  const sbom = JSON.stringify({
    spdxVersion: "SPDX-2.3",
    SPDXID: "SPDXRef-DOCUMENT",
    name: "app",
    dataLicense: "CC0-1.0",
    documentNamespace: "https://example.com/app/1.0.0",
    creationInfo: { created: "2026-01-01T00:00:00Z", creators: ["Tool: demo"] },
    packages: [{ SPDXID: "SPDXRef-app", name: "app", versionInfo: "1.0.0", downloadLocation: "NOASSERTION" }],
  });

  step("The artifact and its SBOM are signed without a key of one's own: by who one is");
  const options = {
    signer: { kind: "keyless", identityToken: () => sandbox.token("email", { email: "alice@example.com" }) },
    services: { kind: "signing-config", signingConfig: trust },
    trust,
    environment,
  };
  const signed = await sign({ path: artifact }, options);
  const attested = await attest(
    {
      predicateType: "https://spdx.dev/Document",
      predicate: sbom,
      subjects: [{ name: "app.tar", artifact: { path: artifact } }],
    },
    options,
  );
  for (const [name, { json }] of Object.entries({ "app.sigstore.json": signed, "app.sbom.sigstore.json": attested })) {
    writeFileSync(join(folder, name), json);
    say(`  ${name}: ${json.length} bytes`);
  }

  const identity = { subjectAlternativeName: "alice@example.com", issuer: urls.oidc };
  const check = { identity, trust };
  step("The signature is proven: who, what, when, and where it was made public");
  say(indent(evidenceToText(await verify({ path: join(folder, "app.sigstore.json") }, { path: artifact }, check))));

  step("So is the SBOM");
  const predicateType = "https://spdx.dev/Document";
  const proven = await verify(
    { path: join(folder, "app.sbom.sigstore.json") },
    { path: artifact },
    { ...check, predicateType },
  );
  say(indent(evidenceToText(proven)));

  step("One byte of the artifact is changed");
  const bytes = readFileSync(artifact);
  bytes[100] = (bytes[100] ?? 0) ^ 1;
  writeFileSync(artifact, bytes);
  /** @type {unknown} */
  let refusal;
  try {
    await verify({ path: join(folder, "app.sigstore.json") }, { path: artifact }, check);
  } catch (error) {
    refusal = error;
  }
  if (!(refusal instanceof SigstoreError)) throw new Error("a changed artifact was not refused", { cause: refusal });
  say(`  refused: ${refusalToText(refusal)}`);
} finally {
  await sandbox.close();
  rmSync(folder, { recursive: true, force: true });
}
