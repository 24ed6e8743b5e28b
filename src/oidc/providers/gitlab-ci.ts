import { InputError } from "../../errors.ts";
import { absent, variable, type IdentityProvider } from "../provider.ts";

/**
 * Recognises a job of GitLab CI/CD. Such a job cannot ask for a token: the pipeline's file does, and names the variable.
 *
 * @see {@link https://docs.gitlab.com/ci/yaml/#id_tokens | GitLab CI/CD, id_tokens}
 */
export const gitlabCi: IdentityProvider = {
  name: "gitlab-ci",
  detect({ environment, audience }) {
    if (variable(environment, "GITLAB_CI") === undefined) return Promise.resolve(absent("GITLAB_CI is not set"));
    if (variable(environment, "SIGSTORE_ID_TOKEN") !== undefined) {
      return Promise.resolve(absent("the job's token is in SIGSTORE_ID_TOKEN, which is the provider envvar"));
    }
    return Promise.resolve({
      kind: "not-configured",
      reason: "this is a job of GitLab CI/CD, but SIGSTORE_ID_TOKEN is not set",
      remedy: `add to the job: "id_tokens: { SIGSTORE_ID_TOKEN: { aud: ${audience} } }"`,
    });
  },
  obtain: () =>
    Promise.reject(
      new InputError("IDENTITY_TOKEN_UNAVAILABLE", "a job of GitLab CI/CD gets its token in a variable, if at all"),
    ),
};
