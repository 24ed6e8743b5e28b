// Runs in Node, Deno, Bun and, bundled data given, in a browser: verifies real bundles with `cosign-ts/verify` as it is built, with
// the provider that the runtime gets by default and with WebCrypto. Plain JavaScript: not every runtime strips types.

/**
 * @param {typeof import("../../dist/verify/index.js")} library
 * @param {(path: string) => Promise<Uint8Array>} read - Reads a file below `testdata/real`.
 * @returns {Promise<{ passed: number, failures: string[], unsupported: string[] }>}
 */
export async function verifyInRuntime(library, read) {
  const {
    createWebCryptoProvider,
    defaultCryptoProvider,
    parsePublicKeyPem,
    parseTrustedRoot,
    SigstoreError,
    Verifier,
  } = library;
  const text = async (path) => new TextDecoder().decode(await read(path));
  const manifest = JSON.parse(await text("manifest.json"));
  const trustedRoot = parseTrustedRoot(await text("a/trusted_root.json"));
  const failures = [];
  const unsupported = new Set();
  let passed = 0;

  const providers = [defaultCryptoProvider(), createWebCryptoProvider(globalThis.crypto.subtle)];
  for (const crypto of providers) {
    for (const one of manifest.cases.filter(({ root }) => root === "a")) {
      const verifier = await Verifier.create(trustedRoot, {
        crypto,
        thresholds: { tlog: one.logEntries.length === 0 ? 0 : 1 },
      });
      const { signer } = one;
      const policy =
        signer.kind === "certificate"
          ? { identity: { subjectAlternativeName: signer.identity, issuer: signer.issuer } }
          : { keys: [{ publicKey: parsePublicKeyPem(await text(signer.key)) }] };
      const bundle = await read(one.bundle);
      const artifact = await read(one.artifact);
      const label = `${crypto.name}: ${one.name}`;

      const accepted = await outcome(() => verifier.verify(bundle, artifact, policy));
      if (accepted === "ALGORITHM_UNSUPPORTED") unsupported.add(`${crypto.name}: ${one.algorithm}`);
      else if (accepted === "accepted") passed += 1;
      else failures.push(`${label} was not accepted: ${accepted}`);

      // The same bytes as a stream of small pieces, and one byte more.
      const streamed = await outcome(() => verifier.verify(bundle, pieces(artifact), policy));
      if (streamed === accepted) passed += 1;
      else failures.push(`${label}, streamed: ${streamed}, where in one piece it was ${accepted}`);
      const longer = await outcome(() => verifier.verify(bundle, new Uint8Array([...artifact, 0]), policy));
      if (longer !== "accepted" && !longer.startsWith("!")) passed += 1;
      else failures.push(`${label} with another artifact: ${longer}`);
    }
  }
  return { passed, failures, unsupported: [...unsupported] };

  async function outcome(verification) {
    try {
      await verification();
      return "accepted";
    } catch (error) {
      return error instanceof SigstoreError ? error.code : `!${error?.stack ?? error}`;
    }
  }
}

async function* pieces(bytes) {
  for (let start = 0; start < bytes.length; start += 7) yield bytes.slice(start, start + 7);
}
