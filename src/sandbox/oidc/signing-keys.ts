import { createPublicKey, hash, type KeyObject } from "node:crypto";
import { CompactSign, type JSONWebKeySet, type JWK } from "jose";
import { encodeUtf8, tryDecodeUtf8 } from "../../encoding/utf8.ts";
import { newPrivateKey, storedKey } from "../stored-key.ts";
import type { SandboxStore } from "../store.ts";
import type { Claim } from "./claims.ts";

/** Is an algorithm that tokens are signed with. */
export type TokenAlgorithm = "RS256" | "ES256";

/** Makes signatures of tokens, and gives the keys to check them with. */
export interface SigningKeys {
  /** The public keys, the current ones first. Another object after each rotation. */
  jwks(): JSONWebKeySet;
  /** Signs claims as a JWT. */
  sign(claims: Readonly<Record<string, Claim>>, algorithm?: TokenAlgorithm): Promise<string>;
  /**
   * Makes new keys, which sign from now on. The ones before stay published, for the tokens that are still in use; with `revoke`
   * they are gone at once, and their tokens with them.
   */
  rotate(options?: { readonly revoke?: boolean }): Promise<void>;
}

interface SigningKey {
  readonly algorithm: TokenAlgorithm;
  readonly privateKey: KeyObject;
  readonly jwk: JWK & { readonly kid: string };
}

/**
 * Opens the keys of an issuer, one for each algorithm, or makes them.
 *
 * @param algorithms - The first signs where the caller does not say.
 */
export async function openSigningKeys(
  store: SandboxStore,
  algorithms: readonly [TokenAlgorithm, ...TokenAlgorithm[]],
): Promise<SigningKeys> {
  // Generations that are in use, the newest first. Keys are written before the file that names them.
  let generations = readGenerations(store);
  const keys = new Map<string, SigningKey>();
  const open = async (generation: number): Promise<void> => {
    for (const algorithm of algorithms) {
      const type = algorithm === "RS256" ? "rsa2048" : "p256";
      const privateKey = await storedKey(store, `${algorithm}-${generation}.pem`, type);
      keys.set(`${algorithm}-${generation}`, { algorithm, privateKey, jwk: jwkOf(privateKey, algorithm) });
    }
  };
  for (const generation of generations) await open(generation);
  const inUse = (): SigningKey[] =>
    generations.flatMap((generation) =>
      algorithms.flatMap((algorithm) => keys.get(`${algorithm}-${generation}`) ?? []),
    );
  let published: JSONWebKeySet = { keys: inUse().map(({ jwk }) => jwk) };

  return {
    jwks: () => published,
    async sign(claims, algorithm = algorithms[0]) {
      const key = inUse().find((candidate) => candidate.algorithm === algorithm);
      if (key === undefined) throw new TypeError(`the issuer has no key for ${algorithm}`);
      return await new CompactSign(encodeUtf8(JSON.stringify(claims)))
        .setProtectedHeader({ alg: algorithm, typ: "JWT", kid: key.jwk.kid })
        .sign(key.privateKey);
    },
    async rotate({ revoke = false } = {}) {
      const [current = 0] = generations;
      await open(current + 1);
      generations = revoke ? [current + 1] : [current + 1, current];
      store.write("generations.json", encodeUtf8(JSON.stringify(generations)));
      published = { keys: inUse().map(({ jwk }) => jwk) };
    },
  };
}

/** Signs as if it were the issuer, with a key that is not published under a name that is. */
export async function signWithForeignKey(
  claims: Readonly<Record<string, Claim>>,
  published: JSONWebKeySet,
): Promise<string> {
  const kid = published.keys.find(({ alg }) => alg === "ES256")?.kid ?? published.keys[0]?.kid;
  return await new CompactSign(encodeUtf8(JSON.stringify(claims)))
    .setProtectedHeader({ alg: "ES256", typ: "JWT", ...(kid !== undefined && { kid }) })
    .sign(await newPrivateKey("p256"));
}

function readGenerations(store: SandboxStore): readonly number[] {
  const bytes = store.read("generations.json");
  return bytes === undefined ? [1] : (JSON.parse(tryDecodeUtf8(bytes) ?? "") as number[]);
}

function jwkOf(privateKey: KeyObject, algorithm: TokenAlgorithm): JWK & { readonly kid: string } {
  const publicKey = createPublicKey(privateKey);
  const spki = publicKey.export({ type: "spki", format: "der" });
  const jwk = publicKey.export({ format: "jwk" }) as JWK;
  return { ...jwk, kid: hash("sha256", spki, "hex").slice(0, 16), alg: algorithm, use: "sig" };
}
