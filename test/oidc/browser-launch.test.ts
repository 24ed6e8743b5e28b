import process from "node:process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { browserCommand, launchBrowser } from "../../src/oidc/browser-launch.ts";

const URL_ = "https://issuer.test/auth?a=b&c=$(touch%20x)`id`;&quot;'";

describe("launchBrowser", () => {
  test.for([
    ["linux", ["xdg-open", URL_]],
    ["freebsd", ["xdg-open", URL_]],
    ["darwin", ["open", URL_]],
    ["win32", ["rundll32", "url.dll,FileProtocolHandler", URL_]],
  ] as const)("has a program on %s that is no shell", ([platform, expected]) => {
    expect(browserCommand(platform, URL_)).toEqual(expected);
  });

  test("passes the URL on as it is, to a program and not to a shell", async () => {
    const folder = mkdtempSync(join(tmpdir(), "cosign-ts-browser-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, "url");
    const script = "require('node:fs').writeFileSync(process.argv[1], process.argv[2])";
    await launchBrowser(URL_, [process.execPath, "-e", script, path, URL_]);
    expect(readFileSync(path, "utf8")).toBe(URL_);
  });

  test("fails where the program is missing, or ends in failure", async () => {
    await expect(launchBrowser(URL_, ["/no/such/program", URL_])).rejects.toThrow("ENOENT");
    await expect(launchBrowser(URL_, [process.execPath, "-e", "process.exit(3)"])).rejects.toThrow("status 3");
  });
});
