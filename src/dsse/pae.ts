import { concatBytes } from "../encoding/bytes.ts";
import { encodeUtf8 } from "../encoding/utf8.ts";

/**
 * Encodes what a DSSE signature is made over: type and body, each after its length.
 *
 * @see {@link https://github.com/secure-systems-lab/dsse/blob/master/protocol.md | DSSE protocol}, "Signature Definition"
 */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
  const type = encodeUtf8(payloadType);
  return concatBytes(encodeUtf8(`DSSEv1 ${type.length} `), type, encodeUtf8(` ${payload.length} `), payload);
}
