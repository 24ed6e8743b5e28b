/** The codes of the specification, and with which status they are answered. */
const STATUS = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 404,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  SIZE_INVALID: 400,
  UNAUTHORIZED: 401,
  DENIED: 403,
  UNSUPPORTED: 405,
  TOOMANYREQUESTS: 429,
  /** Of one large registry, whose tags can be made immutable. */
  TAG_INVALID: 400,
  /** Of go-containerregistry's registry, for paths that it does not know. */
  METHOD_UNKNOWN: 404,
} as const;

/** Is a code that the registry answers with. */
export type RegistryErrorCode = keyof typeof STATUS;

/** Is the registry's answer to a request that it does not fulfil. */
export class RegistryError extends Error {
  override readonly name = "RegistryError";
  readonly code: RegistryErrorCode;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: RegistryErrorCode,
    message: string,
    options: { readonly status?: number; readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(message);
    this.code = code;
    this.status = options.status ?? STATUS[code];
    this.headers = options.headers ?? {};
  }

  /** Gives the answer. @see distribution-spec, "Error Codes" */
  toResponse(): Response {
    const { code, message, status, headers } = this;
    return Response.json({ errors: [{ code, message }] }, { status, headers });
  }
}
