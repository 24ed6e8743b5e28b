/** RFC 5321 §4.5.3.1, and far more than any address has. */
const MAX_LENGTH = 320;

const LOCAL_PART =
  /^(?:[\w!#$%&'*+\-/=?^`{|}~\u00a0-\uffef]+(?:\.[\w!#$%&'*+\-/=?^`{|}~\u00a0-\uffef]+)*|"[\x20\x21\x23-\x5b\x5d-\x7e]*")$/;
const DOMAIN = /^[a-zA-Z0-9\u00a0-\uffef](?:[\w\-.~\u00a0-\uffef]*[a-zA-Z0-9\u00a0-\uffef])?$/;
const TOP_LEVEL = /^[a-zA-Z\u00a0-\uffef](?:[\w\-~\u00a0-\uffef]*[a-zA-Z\u00a0-\uffef])?$/;

/**
 * Tells whether text is an e-mail address for Fulcio: a local part, and a domain of at least two labels whose last one begins and
 * ends with a letter. Letters beyond ASCII are fine here; that no certificate takes them is found out later.
 */
export function isEmailAddress(text: string): boolean {
  if (text.length > MAX_LENGTH) return false;
  const at = text.lastIndexOf("@");
  const domain = text.slice(at + 1).replace(/\.$/, "");
  const dot = domain.lastIndexOf(".");
  return (
    at > 0 &&
    dot > 0 &&
    LOCAL_PART.test(text.slice(0, at)) &&
    DOMAIN.test(domain.slice(0, dot)) &&
    TOP_LEVEL.test(domain.slice(dot + 1))
  );
}
