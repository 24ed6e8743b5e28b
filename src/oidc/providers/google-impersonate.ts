import { InputError, ServiceError } from "../../errors.ts";
import { parseJson } from "../../encoding/json.ts";
import { MAX_OIDC_RESPONSE_BYTES } from "../../limits.ts";
import { OidcObject, requestObject } from "../oidc-request.ts";
import { absent, available, variable, type IdentityProvider, type ProviderContext } from "../provider.ts";
import { findGoogle, requestMetadata } from "./google-metadata.ts";

const ACCOUNT_NAME = "GOOGLE_SERVICE_ACCOUNT_NAME";
const ACCESS_TOKEN_NAME = "CLOUDSDK_AUTH_ACCESS_TOKEN";
const IAM = "https://iamcredentials.googleapis.com/v1";

/**
 * Asks Google Cloud for a token of the service account in `GOOGLE_SERVICE_ACCOUNT_NAME`, which the caller may impersonate.
 *
 * The caller is whoever `CLOUDSDK_AUTH_ACCESS_TOKEN` belongs to, otherwise the machine's service account. Files with credentials
 * (`GOOGLE_APPLICATION_CREDENTIALS`) are not read.
 *
 * @see {@link https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateIdToken | IAM, generateIdToken}
 */
export const googleImpersonate: IdentityProvider = {
  name: "google-impersonate",
  detect({ environment }) {
    return Promise.resolve(
      variable(environment, ACCOUNT_NAME) === undefined
        ? absent(`${ACCOUNT_NAME} is not set`)
        : available(`${ACCOUNT_NAME} is set`),
    );
  },
  async obtain(context) {
    const account = variable(context.environment, ACCOUNT_NAME) ?? "";
    if (!/^(?:[\w.+-]+@[\w.-]+|\d+)$/.test(account)) {
      throw new InputError("USAGE_INVALID", `${ACCOUNT_NAME} names no service account`, {
        expected: "name@project.iam.gserviceaccount.com",
      });
    }
    const { body } = await requestObject(
      `${IAM}/projects/-/serviceAccounts/${encodeURIComponent(account)}:generateIdToken`,
      {
        method: "POST",
        headers: {
          authorization: `Bearer ${await findAccessToken(context)}`,
          "content-type": "application/json",
          accept: "application/json",
        },
        body: JSON.stringify({ audience: context.audience, includeEmail: true }),
      },
      { ...context.request, service: "Google IAM" },
    );
    return body.text("token");
  },
};

async function findAccessToken(context: ProviderContext): Promise<string> {
  const given = variable(context.environment, ACCESS_TOKEN_NAME);
  if (given !== undefined) return given;
  const remedy = `set ${ACCESS_TOKEN_NAME}, for instance to what "gcloud auth print-access-token" prints`;
  if (
    variable(context.environment, "GOOGLE_APPLICATION_CREDENTIALS") !== undefined ||
    (await findGoogle(context)) === undefined
  ) {
    throw new InputError("IDENTITY_TOKEN_UNAVAILABLE", `nothing says who is to impersonate ${ACCOUNT_NAME}`, {
      expected: `${ACCESS_TOKEN_NAME}, or a machine of Google Cloud`,
      remedy,
    });
  }
  const answer = await requestMetadata("instance/service-accounts/default/token", context);
  const service = "Google metadata server";
  if (answer === undefined) {
    throw new ServiceError("OIDC_REQUEST_REFUSED", `${service} gives no access token`, {
      status: 404,
      service,
      remedy,
    });
  }
  return readAccessToken(answer, service);
}

function readAccessToken(answer: string, service: string): string {
  let value: unknown;
  try {
    value = parseJson(answer, { what: "answer", code: "JSON_MALFORMED", maxBytes: MAX_OIDC_RESPONSE_BYTES });
  } catch {
    value = undefined; // and without the cause, which would quote it
  }
  const object = typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
  return new OidcObject(object as OidcObject["value"], service).text("access_token");
}
