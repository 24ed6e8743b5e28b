import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // What needs built programs, browsers or a network has a script of its own.
    exclude: ["test/interop/**", "test/package/**", "test/live/**", "test/mutation/**", "test/runtimes/**"],
    // Left to itself, vitest leaves one processor idle.
    maxWorkers: "100%",
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 20_000 } },
    // No test may lean on the zone, the language or the settings of the machine it runs on.
    env: { TZ: "UTC", LC_ALL: "C" },
    unstubGlobals: true,
    restoreMocks: true,
  },
});
