import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { startSandbox, type Sandbox } from "../../src/sandbox/sandbox.ts";
import { sign } from "../../src/sign/sign.ts";
import { utf8 } from "../support/logs.ts";

const WORKFLOW = "acme/app/.github/workflows/release.yml@refs/heads/main";
let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await startSandbox();
});
afterAll(() => sandbox.close());

const signAs = async (token: string): Promise<string> => {
  const signed = await sign(utf8("an artifact"), {
    signer: { kind: "keyless", identityToken: token },
    services: { kind: "signing-config", signingConfig: sandbox.signingConfigRekor1 },
    trust: sandbox.trustedRoot,
    environment: {},
  });
  const signer = signed.evidence?.signer;
  return signer?.kind === "certificate" ? signer.identity.subjectAlternativeName.value : "";
};

// The issuers of the sandbox are not those of GitHub and GitLab, as those of a company's own server are not.
describe("sign, for a workflow of a server that is not github.com or gitlab.com", () => {
  test("takes the certificate that names the token's workflow, whichever the server", async () => {
    expect(await signAs(await sandbox.token("github"))).toBe(`https://github.com/${WORKFLOW}`);
  });

  test("takes the certificate that names the token's pipeline", async () => {
    const name = "gitlab.com/acme/app//.gitlab-ci.yml@refs/heads/main";
    expect(await signAs(await sandbox.token("gitlab"))).toBe(`https://${name}`);
  });

  test("refuses a certificate that names another workflow", async () => {
    const token = await sandbox.token("github");
    sandbox.setFault("fulcio", { kind: "other-identity" });
    await expect(signAs(token)).rejects.toMatchObject({ code: "IDENTITY_MISMATCH" });
    sandbox.clearFaults();
  });
});
