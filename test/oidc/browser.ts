/**
 * Logs in with headless Chromium, as a person would: at the `oidc-provider` package and at the sandbox. Exit status 2 when there is no
 * Chromium.
 */

import assert from "node:assert/strict";
import process from "node:process";

import type { BrowserContext, Page } from "playwright-core";

import { SigstoreError } from "../../src/errors.ts";
import { getIdentityToken, type IdentityTokenOptions } from "../../src/oidc/get-identity-token.ts";
import { startSandbox, type Sandbox } from "../../src/sandbox/sandbox.ts";
import { launchChromium, requireChromium } from "../support/chromium.ts";
import { PERSON, startOpenIdServer, type OpenIdServer } from "./openid-server.ts";

const PATIENCE_MS = 20_000;

requireChromium();

/** Is what a login came to, and the page at its end. */
interface Ended {
  readonly subject?: string;
  readonly code?: string;
  readonly title: string;
  readonly text: string;
  /** What the page asked for after it had been reached, and what Chromium refused of it. */
  readonly problems: readonly string[];
}

/** Logs in; `act` is what the person does on the provider's pages. */
async function logIn(
  context: BrowserContext,
  issuer: string,
  act: (page: Page) => Promise<void>,
  options: IdentityTokenOptions = {},
): Promise<Ended> {
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const problems: string[] = [];
  let isBack = false;
  page.on("framenavigated", (frame) => {
    isBack = new URL(frame.url()).pathname === "/auth/callback";
  });
  page.on("console", (message) => {
    if (isBack && message.type() === "error" && !/status of 400/.test(message.text())) problems.push(message.text());
  });
  page.on("request", (request) => {
    // Browsers ask for the icon of their own accord.
    if (isBack && !request.url().endsWith("/favicon.ico")) problems.push(`asked for ${request.url()}`);
  });
  let visit: Promise<unknown> | undefined;
  const result = await getIdentityToken({
    environment: {},
    flow: "normal",
    issuer,
    loginTimeoutMs: PATIENCE_MS,
    interaction: {
      isTerminal: true,
      print: () => undefined,
      openBrowser: (url) => {
        visit = page.goto(url).then(() => act(page));
        visit.catch(() => undefined);
        return Promise.resolve();
      },
    },
    ...options,
  }).then(
    ({ token }) => ({ subject: token.subject }),
    (error: unknown) => {
      if (!(error instanceof SigstoreError)) throw error;
      return { code: error.code };
    },
  );
  await visit;
  await page.waitForURL(/\/auth\/callback\?/);
  const ended = { ...result, title: await page.title(), text: await page.locator("main").innerText(), problems };
  await page.close();
  return ended;
}

/** The pages of `oidc-provider`: a login, then consent. */
async function logInAtProvider(page: Page): Promise<void> {
  await page.fill("input[name=login]", PERSON);
  await page.fill("input[name=password]", "anything");
  await page.click("button[type=submit]");
  await page.click("text=Continue");
}

function atSandbox(button: string): (page: Page) => Promise<void> {
  return async (page) => {
    if (button === "Log in") await page.fill("input[name=email]", PERSON);
    await page.click(`button:has-text("${button}")`);
  };
}

function expectSuccess(ended: Ended): void {
  assert.equal(ended.subject, PERSON);
  assert.equal(ended.title, "You are logged in");
  assert.match(ended.text, new RegExp(PERSON));
  assert.doesNotMatch(ended.text, /eyJ/);
  assert.deepEqual(ended.problems, []);
}

function expectFailure(ended: Ended, code: string, title: string): void {
  assert.equal(ended.code, code);
  assert.equal(ended.title, title);
  assert.doesNotMatch(ended.text, /eyJ/);
  assert.deepEqual(ended.problems, []);
}

const CASES: readonly (readonly [
  name: string,
  run: (context: BrowserContext, server: OpenIdServer, sandbox: Sandbox) => Promise<void>,
])[] = [
  [
    "a person logs in at oidc-provider",
    async (context, { issuer }) => expectSuccess(await logIn(context, issuer, logInAtProvider)),
  ],
  [
    "a person cancels at oidc-provider",
    async (context, { issuer }) => {
      await context.clearCookies();
      const ended = await logIn(context, issuer, (page) => page.click("text=[ Cancel ]"));
      expectFailure(ended, "LOGIN_FAILED", "You are not logged in");
    },
  ],
  [
    "a person logs in at the sandbox",
    async (context, _, { urls }) => expectSuccess(await logIn(context, urls.oidc, atSandbox("Log in"))),
  ],
  [
    "a person cancels at the sandbox",
    async (context, _, { urls }) => {
      const ended = await logIn(context, urls.oidc, atSandbox("Cancel"));
      expectFailure(ended, "LOGIN_FAILED", "You are not logged in");
    },
  ],
  [
    "the token is one of another login",
    async (context, _, sandbox) => {
      sandbox.setFault("oidc", { kind: "other-nonce" });
      const ended = await logIn(context, sandbox.urls.oidc, atSandbox("Log in"));
      sandbox.clearFaults();
      expectFailure(ended, "LOGIN_FAILED", "You are not logged in");
    },
  ],
  [
    "the answer is one to another login",
    async (context, _, sandbox) => {
      sandbox.setFault("oidc", { kind: "other-state" });
      const ended = await logIn(context, sandbox.urls.oidc, atSandbox("Log in"), { loginTimeoutMs: 3000 });
      sandbox.clearFaults();
      expectFailure(ended, "LOGIN_FAILED", "This is the answer to another login");
    },
  ],
];

const [server, sandbox, browser] = await Promise.all([startOpenIdServer(), startSandbox(), launchChromium()]);
const failures: string[] = [];
try {
  for (const [name, run] of CASES) {
    const context = await browser.newContext();
    // Nothing outside this machine is needed; the provider's pages would like a font.
    await context.route(/^https?:\/\/(?!127\.0\.0\.1|localhost)/, (route) => route.abort());
    try {
      await run(context, server, sandbox);
      console.log(`  ok      ${name}`);
    } catch (error) {
      failures.push(name);
      console.log(`  FAILED  ${name}: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      await context.close();
    }
  }
  console.log(`Chromium ${browser.version()}`);
} finally {
  await Promise.all([browser.close(), server.close(), sandbox.close()]);
}
console.log(`${CASES.length - failures.length} passed, ${failures.length} failed`);
process.exitCode = failures.length === 0 ? 0 : 1;
