import { defineConfig } from "vitest/config";

/** Looks at the packed package, as a stranger gets it. Needs `dist/`, so it is no part of `npm test`. */
export default defineConfig({
  test: { include: ["test/package/**/*.test.ts"], testTimeout: 120_000, hookTimeout: 120_000 },
});
