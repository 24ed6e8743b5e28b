/** Is a status of gRPC that Fulcio answers with. */
export type GrpcCode = "InvalidArgument" | "NotFound" | "Unimplemented" | "Internal";

const CODES = {
  InvalidArgument: { number: 3, status: 400 },
  NotFound: { number: 5, status: 404 },
  Unimplemented: { number: 12, status: 501 },
  Internal: { number: 13, status: 500 },
} as const satisfies Readonly<Record<GrpcCode, { readonly number: number; readonly status: number }>>;

/** Is Fulcio's answer to a request that it does not fulfil: what the client is told, and the reason, which it is not told. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: GrpcCode;
  /** What went wrong, for whoever runs Fulcio. Holds no token. */
  readonly reason: string;

  constructor(code: GrpcCode, message: string, reason: string = message) {
    super(message);
    this.code = code;
    this.reason = reason;
  }

  /** Gives the answer, in the form of grpc-gateway. */
  toResponse(): Response {
    const { number, status } = CODES[this.code];
    return Response.json({ code: number, message: this.message, details: [] }, { status });
  }
}

/** The sentences of Fulcio, by what they are about. */
export const REFUSAL = {
  identityToken: "There was an error processing the identity token",
  publicKey: "The public key supplied in the request could not be parsed",
  weakKey: "The public key supplied in the request is insecure",
  signature: "The signature supplied in the request could not be verified",
  certificateRequest: "The certificate signing request could not be parsed",
  certificateLog: "Error entering certificate in CTL",
  authority: "error communicating with CA backend",
} as const;
