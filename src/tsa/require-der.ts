import { DerReader, type DerElement } from "../asn1/der.ts";

/**
 * Checks that all which an element contains is DER, so that what is passed over later is no BER in disguise.
 *
 * Types are not looked at, nor is what an octet string holds.
 *
 * @throws {@link FormatError} `DER_MALFORMED`, `LIMIT_EXCEEDED`.
 * @see RFC 3161 §2.4.2: the eContent SHALL be the DER-encoded value of TSTInfo; RFC 5652 §5.3: SignedAttributes MUST be DER encoded
 */
export function requireDer(element: DerElement): void {
  if ((element.tag & 0x20) === 0) return;
  const reader = DerReader.of(element);
  while (!reader.atEnd) requireDer(reader.next());
}
