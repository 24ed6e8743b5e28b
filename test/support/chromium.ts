import { existsSync } from "node:fs";
import process from "node:process";
import { chromium, type Browser } from "playwright-core";

const CHROMIUM = process.env["COSIGN_TS_CHROMIUM"] ?? "/usr/bin/chromium";

/** Ends the program with status 2 where there is no Chromium. */
export function requireChromium(): void {
  if (existsSync(CHROMIUM)) return;
  console.log(`not run: there is no Chromium at ${CHROMIUM}; set COSIGN_TS_CHROMIUM`);
  process.exit(2);
}

/** Starts a Chromium without a window, that asks for nothing of its own. */
export async function launchChromium(): Promise<Browser> {
  return await chromium.launch({
    executablePath: CHROMIUM,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
