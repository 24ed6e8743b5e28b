import { tryDecodeBase64, tryDecodeBase64Url } from "../../encoding/base64.ts";
import { parseJson, type JsonObject, type JsonValue } from "../../encoding/json.ts";
import { encodeUtf8 } from "../../encoding/utf8.ts";
import { SigstoreError } from "../../errors.ts";
import { MAX_IDENTITY_REQUEST_BYTES } from "../../limits.ts";
import { ApiError, REFUSAL } from "./api-error.ts";

/** Is a request for a certificate, of either version of the API. Nothing in it is checked yet. */
export interface SigningRequest {
  /** Empty where none came with the request. */
  readonly token: string;
  readonly key:
    | { readonly kind: "certificate-request"; readonly pem: Uint8Array }
    | { readonly kind: "public-key"; readonly content: Uint8Array; readonly proof: Uint8Array };
}

/**
 * Reads the body of `POST /api/v2/signingCert`, as protobuf's JSON: names in either spelling, unknown ones passed over, `null` for
 * what is absent.
 *
 * @param bearer - The token of the header, which counts where the body has none.
 * @throws {@link ApiError}
 */
export function readSigningRequest(body: Uint8Array, bearer: string): SigningRequest {
  const request = readBodyObject(body);
  const credentials = objectField(request, "credentials");
  const publicKeyRequest = objectField(request, "publicKeyRequest", "public_key_request");
  const certificateRequest = bytesField(request, "certificateSigningRequest", "certificate_signing_request");
  if (publicKeyRequest !== undefined && certificateRequest !== undefined)
    throw malformed(
      'error parsing "certificateSigningRequest", oneof dev.sigstore.fulcio.v2.CreateSigningCertificateRequest.key is already set',
    );
  const token = (credentials && textField(credentials, "oidcIdentityToken", "oidc_identity_token")) ?? "";
  const publicKey = publicKeyRequest && objectField(publicKeyRequest, "publicKey", "public_key");
  return {
    token: token === "" ? bearer : token,
    key:
      certificateRequest !== undefined && certificateRequest.length > 0
        ? { kind: "certificate-request", pem: certificateRequest }
        : {
            kind: "public-key",
            content: encodeUtf8((publicKey && textField(publicKey, "content")) ?? ""),
            proof:
              (publicKeyRequest && bytesField(publicKeyRequest, "proofOfPossession", "proof_of_possession")) ??
              new Uint8Array(0),
          },
  };
}

/**
 * Reads the body of `POST /api/v1/signingCert`.
 *
 * @param bearer - The token of the header: the body has none in this version.
 * @throws {@link ApiError}
 */
export function readLegacySigningRequest(body: Uint8Array, bearer: string): SigningRequest {
  const request = readBodyObject(body);
  const publicKey = objectField(request, "publicKey");
  const proof = bytesField(request, "signedEmailAddress") ?? new Uint8Array(0);
  const certificateRequest = bytesField(request, "certificateSigningRequest") ?? new Uint8Array(0);
  const content = publicKey && (bytesField(publicKey, "content") ?? new Uint8Array(0));
  if (certificateRequest.length > 0)
    return { token: bearer, key: { kind: "certificate-request", pem: certificateRequest } };
  if (content === undefined) throw new ApiError("InvalidArgument", REFUSAL.publicKey, "public key not provided");
  return { token: bearer, key: { kind: "public-key", content, proof } };
}

function readBodyObject(body: Uint8Array): JsonObject {
  if (body.length === 0) return {}; // grpc-gateway takes nothing for an empty message
  let value: JsonValue;
  try {
    value = parseJson(body, { what: "request", code: "JSON_MALFORMED", maxBytes: MAX_IDENTITY_REQUEST_BYTES });
  } catch (error) {
    if (!(error instanceof SigstoreError)) throw error;
    throw malformed(error.message);
  }
  if (!isObject(value)) throw malformed("unexpected token, a request is an object");
  return value;
}

function field(object: JsonObject, ...names: readonly string[]): JsonValue | undefined {
  const present = names.filter((name) => Object.hasOwn(object, name));
  if (present.length > 1) throw malformed(`duplicate field ${JSON.stringify(names[0])}`);
  const value = present[0] === undefined ? undefined : object[present[0]];
  return value ?? undefined;
}

function objectField(object: JsonObject, ...names: readonly string[]): JsonObject | undefined {
  const value = field(object, ...names);
  if (value === undefined) return undefined;
  if (!isObject(value)) throw malformed(`invalid value for field ${names[0] ?? ""}`);
  return value;
}

function textField(object: JsonObject, ...names: readonly string[]): string | undefined {
  const value = field(object, ...names);
  if (value !== undefined && typeof value !== "string")
    throw malformed(`invalid value for string field ${names[0] ?? ""}`);
  return value;
}

function bytesField(object: JsonObject, ...names: readonly string[]): Uint8Array | undefined {
  const value = field(object, ...names);
  if (value === undefined) return undefined;
  const bytes = typeof value === "string" ? decodeEitherBase64(value) : undefined;
  if (bytes === undefined) throw malformed(`invalid value for bytes field ${names[0] ?? ""}`);
  return bytes;
}

/** Protobuf's JSON takes either alphabet, with or without padding. */
function decodeEitherBase64(text: string): Uint8Array | undefined {
  const bare = text.replace(/={1,2}$/, "");
  if (/[-_]/.test(bare)) return tryDecodeBase64Url(bare);
  return tryDecodeBase64(bare.padEnd(Math.ceil(bare.length / 4) * 4, "="));
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function malformed(detail: string): ApiError {
  return new ApiError("InvalidArgument", `proto: ${detail}`);
}
