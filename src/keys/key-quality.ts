import type { KeyObject } from "node:crypto";

import type { PublicKey } from "../crypto/public-key.ts";
import { tryDecodeBase64Url } from "../encoding/base64.ts";
import { encodeHex } from "../encoding/hex.ts";
import { FormatError } from "../errors.ts";

/** cosign takes no other. */
const EXPONENT = 65_537n;

/**
 * Checks that an RSA key was generated as one should be. Of other kinds nothing can be wrong that their encoding does not show.
 *
 * The size of the modulus is not checked here: only sizes of the registry get an algorithm.
 *
 * @throws {@link FormatError} `PRIVATE_KEY_MALFORMED`.
 * @see FIPS 186-5 A.1.1 and A.1.3
 * @internal
 */
export function checkKeyQuality(privateKey: KeyObject, { type, modulusBits = 0 }: PublicKey): void {
  if (type !== "rsa") return; // nobody exports the numbers of a key for PSS alone
  const { n, e, p, q } = privateKey.export({ format: "jwk" });
  const [modulus, exponent, first, second] = [n, e, p, q].map(toBigInt) as [bigint, bigint, bigint, bigint];
  if (exponent !== EXPONENT) throw weak("its exponent is not the usual one", `${EXPONENT}`, `${exponent}`);
  if (first * second !== modulus) throw weak("its modulus is not the product of its two primes");
  const half = BigInt(modulusBits / 2);
  const isHalf = (prime: bigint): boolean => prime >> half === 0n && prime >> (half - 1n) === 1n;
  if (!isHalf(first) || !isHalf(second)) throw weak("its primes are not half as long as its modulus");
  const distance = first > second ? first - second : second - first;
  if (distance >> (half - 100n) === 0n) throw weak("its primes are so close together that it can be factored");
}

function toBigInt(base64Url: string | undefined): bigint {
  const bytes = tryDecodeBase64Url(base64Url ?? "");
  return bytes === undefined || bytes.length === 0 ? 0n : BigInt(`0x${encodeHex(bytes)}`);
}

function weak(why: string, expected?: string, found?: string): FormatError {
  return new FormatError("PRIVATE_KEY_MALFORMED", `RSA key is weak: ${why}`, {
    expected,
    found,
    remedy: "generate a new key: cosign-ts generate-key-pair",
  });
}
