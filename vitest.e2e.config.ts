import { defineConfig } from "vitest/config";

/** Signing end to end with every fault at every service, and killed at every step; `npm test` has a sample of it. */
export default defineConfig({
  test: {
    include: ["test/e2e/**/*.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    env: { TZ: "UTC", LC_ALL: "C", COSIGN_TS_E2E: "all" },
  },
});
