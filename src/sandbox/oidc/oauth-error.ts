/** Is the answer of an endpoint of OAuth to a request that it does not grant. */
export class OAuthError extends Error {
  override readonly name = "OAuthError";
  /** RFC 6749 §5.2, RFC 8628 §3.5 */
  readonly code: string;
  constructor(code: string, description: string) {
    super(description);
    this.code = code;
  }
}
