import { parseCredentialUrl } from "../credential-url.ts";
import { requestObject } from "../oidc-request.ts";
import { serviceUrl } from "../../http/redirect.ts";
import { absent, available, variable, type Environment, type IdentityProvider } from "../provider.ts";

const TOKEN_NAME = "BUILDKITE_AGENT_ACCESS_TOKEN";
const JOB_NAME = "BUILDKITE_JOB_ID";
const ENDPOINT_NAME = "BUILDKITE_AGENT_ENDPOINT";
const DEFAULT_ENDPOINT = "https://agent.buildkite.com/v3";

/**
 * Asks Buildkite's agent API for the token of the job.
 *
 * @see {@link https://buildkite.com/docs/pipelines/security/oidc | Buildkite, OIDC}
 */
export const buildkiteAgent: IdentityProvider = {
  name: "buildkite-agent",
  async detect({ environment }) {
    if (variable(environment, TOKEN_NAME) === undefined) {
      return absent(`${TOKEN_NAME} is not set`);
    }
    if (variable(environment, JOB_NAME) === undefined) {
      return {
        kind: "not-configured",
        reason: `${TOKEN_NAME} is set, but ${JOB_NAME} is not`,
        remedy: `pass ${JOB_NAME} on to where this runs, for instance into the container`,
      };
    }
    readEndpoint(environment);
    return available(`${TOKEN_NAME} and ${JOB_NAME} are set`);
  },
  async obtain({ environment, audience, request }) {
    const job = encodeURIComponent(variable(environment, JOB_NAME) ?? "");
    const { body } = await requestObject(
      serviceUrl(readEndpoint(environment), `/jobs/${job}/oidc/tokens`),
      {
        method: "POST",
        headers: {
          authorization: `Token ${variable(environment, TOKEN_NAME) ?? ""}`,
          "content-type": "application/json",
          accept: "application/json",
        },
        body: JSON.stringify({ audience }),
        accept: [200, 201],
      },
      { ...request, service: "Buildkite" },
    );
    return body.text("token");
  },
};

function readEndpoint(environment: Environment): string {
  return parseCredentialUrl(variable(environment, ENDPOINT_NAME) ?? DEFAULT_ENDPOINT, ENDPOINT_NAME).href;
}
