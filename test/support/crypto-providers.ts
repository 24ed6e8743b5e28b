import crypto from "node:crypto";
import { createNodeProvider } from "../../src/crypto/node-provider.ts";
import { createWebCryptoProvider } from "../../src/crypto/webcrypto-provider.ts";
import type { CryptoProvider } from "../../src/crypto/provider.ts";

/** Every way in which this runtime can do cryptography. */
export const providers: readonly (readonly [string, CryptoProvider])[] = [
  ["node", createNodeProvider(crypto)],
  ["node without thread pool", createNodeProvider(crypto, { threadPool: false })],
  ["webcrypto", createWebCryptoProvider(crypto.webcrypto.subtle)],
];
