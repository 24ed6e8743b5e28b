/** Tokens as providers issue them, signed with a key of this process. */

import { generateKeyPairSync, sign } from "node:crypto";

/** A time within the life of every token made here. */
export const NOW = new Date("2026-03-01T12:00:00Z");
const NOW_SECONDS = NOW.getTime() / 1000;
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });

/** The claims of a job of GitHub Actions, in the form that GitHub's documentation gives them. */
export const GITHUB_CLAIMS = {
  jti: "example-id",
  sub: "repo:octo-org/octo-repo:environment:prod",
  environment: "prod",
  aud: "sigstore",
  ref: "refs/heads/main",
  sha: "f1e2d3c4b5a6978877665544332211ffeeddccbb",
  repository: "octo-org/octo-repo",
  repository_owner: "octo-org",
  actor_id: "12",
  repository_visibility: "public",
  repository_id: "74",
  repository_owner_id: "65",
  run_id: "5000000001",
  run_number: "10",
  run_attempt: "2",
  runner_environment: "github-hosted",
  actor: "octocat",
  workflow: "example-workflow",
  workflow_ref: "octo-org/octo-repo/.github/workflows/release.yml@refs/heads/main",
  workflow_sha: "f1e2d3c4b5a6978877665544332211ffeeddccbb",
  head_ref: "",
  base_ref: "",
  event_name: "workflow_dispatch",
  ref_type: "branch",
  job_workflow_ref: "octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main",
  job_workflow_sha: "00112233445566778899aabbccddeeff00112233",
  iss: "https://token.actions.githubusercontent.com",
  nbf: NOW_SECONDS - 600,
  exp: NOW_SECONDS + 300,
  iat: NOW_SECONDS - 10,
};

/** The claims of a person who logged in. */
export const EMAIL_CLAIMS = {
  iss: "https://issuer.test",
  sub: "CgVhbGljZRIFbG9jYWw",
  aud: "sigstore",
  exp: NOW_SECONDS + 60,
  iat: NOW_SECONDS,
  email: "alice@example.com",
  email_verified: true as unknown,
};

/** Writes a JWS in compact form. Anything may stand in it: what is not text is written as JSON. */
export function makeToken(claims: unknown = EMAIL_CLAIMS, header: unknown = { alg: "ES256", typ: "JWT" }): string {
  const part = (value: unknown): string =>
    Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
  const input = `${part(header)}.${part(claims)}`;
  return `${input}.${sign("sha256", Buffer.from(input), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
}
