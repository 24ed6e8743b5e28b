import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { SigstoreError } from "../../src/errors.ts";
import { describeIdentityToken } from "../../src/oidc/describe-token.ts";
import { logInWithDevice } from "../../src/oidc/device-login.ts";
import { parseIdentityToken } from "../../src/oidc/identity-token.ts";
import { damaged, DAMAGES } from "../support/damage.ts";
import { expectNoOtherError, SAMPLE } from "../support/hostile.ts";
import { utf8 } from "../support/logs.ts";
import { fakeProvider, ISSUER, METADATA } from "./fake-provider.ts";
import { EMAIL_CLAIMS, makeToken, NOW } from "./tokens.ts";

const TOKEN = makeToken({ ...EMAIL_CLAIMS, iss: ISSUER });
const ANSWERS = {
  discovery: METADATA,
  device: { device_code: "d-secret", user_code: "ABCD", verification_uri: `${ISSUER}/device`, interval: 5 },
  pending: { error: "authorization_pending", error_description: "not yet" },
  token: { access_token: "a-secret", id_token: TOKEN },
};

describe("a device login whose answers are damaged", () => {
  test.for(Object.keys(ANSWERS) as (keyof typeof ANSWERS)[])(
    "ends with its token or an error of ours: %s",
    async (which) => {
      await fc.assert(
        fc.asyncProperty(DAMAGES, async (damages) => {
          const body = (name: keyof typeof ANSWERS): Uint8Array<ArrayBuffer> => {
            const bytes = utf8(JSON.stringify(ANSWERS[name]));
            return (name === which ? damaged(bytes, damages) : bytes) as Uint8Array<ArrayBuffer>;
          };
          let asked = 0;
          const { login, interaction } = fakeProvider();
          const fetch = (url: string): Promise<Response> => {
            if (url.includes("openid-configuration")) return Promise.resolve(new Response(body("discovery")));
            if (url.includes("device")) return Promise.resolve(new Response(body("device")));
            const answer = asked++ === 0 ? new Response(body("pending"), { status: 400 }) : new Response(body("token"));
            return Promise.resolve(answer);
          };
          const options = { ...login, interaction, now: () => NOW, wait: () => Promise.resolve() };
          const outcome: unknown = await logInWithDevice({
            ...options,
            request: { ...login.request, fetch, retries: 0 },
          }).catch((error: unknown) => error);
          if (outcome instanceof Error) expect(outcome).toBeInstanceOf(SigstoreError);
          else expect(outcome).toMatchObject({ issuer: ISSUER, audience: ["sigstore"] });
          for (let cause: unknown = outcome; cause instanceof Error; cause = cause.cause) {
            expect(cause.message).not.toMatch(/d-secret|a-secret|eyJ/);
          }
        }),
        { ...SAMPLE, numRuns: 150 },
      );
    },
  );
});

describe("a token that is damaged", () => {
  test("is described or refused", () => {
    const [header = "", payload = "", signature = ""] = TOKEN.split(".");
    const part = (text: string, damages: Parameters<typeof damaged>[1]): string =>
      Buffer.from(damaged(Buffer.from(text, "base64url"), damages)).toString("base64url");
    fc.assert(
      fc.property(fc.boolean(), DAMAGES, (inHeader, damages) => {
        const parts = inHeader ? [part(header, damages), payload] : [header, part(payload, damages)];
        expectNoOtherError(() => describeIdentityToken(parseIdentityToken([...parts, signature].join("."))));
      }),
      SAMPLE,
    );
  });
});
