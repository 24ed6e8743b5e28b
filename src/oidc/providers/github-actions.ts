import { parseCredentialUrl } from "../credential-url.ts";
import { requestObject } from "../oidc-request.ts";
import { absent, available, variable, type Environment, type IdentityProvider } from "../provider.ts";

const URL_NAME = "ACTIONS_ID_TOKEN_REQUEST_URL";
const TOKEN_NAME = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/**
 * Asks GitHub Actions for the token of the job.
 *
 * @see {@link https://docs.github.com/en/actions/reference/security/oidc | GitHub Actions, OpenID Connect reference}
 */
export const githubActions: IdentityProvider = {
  name: "github-actions",
  async detect({ environment }) {
    const missing = [URL_NAME, TOKEN_NAME].filter((name) => variable(environment, name) === undefined);
    if (missing.length === 0) {
      readUrl(environment);
      return available(`${URL_NAME} and ${TOKEN_NAME} are set`);
    }
    if (variable(environment, "GITHUB_ACTIONS") === undefined) return absent("GITHUB_ACTIONS is not set");
    return {
      kind: "not-configured",
      reason: `this is a job of GitHub Actions, but ${missing.join(" and ")} ${missing.length === 1 ? "is" : "are"} not set`,
      remedy:
        'give the job "permissions: id-token: write", and the workflow that calls it too; a pull request from a fork gets no token',
    };
  },
  async obtain({ environment, audience, request }) {
    const url = readUrl(environment);
    url.searchParams.set("audience", audience);
    const { body } = await requestObject(
      url.href,
      {
        method: "GET",
        headers: { authorization: `bearer ${variable(environment, TOKEN_NAME) ?? ""}`, accept: "application/json" },
      },
      { ...request, service: "GitHub Actions", retries: 2 },
    );
    return body.text("value");
  },
};

function readUrl(environment: Environment): URL {
  return parseCredentialUrl(variable(environment, URL_NAME) ?? "", URL_NAME);
}
