import type { ServiceContext } from "../../src/sandbox/service.ts";
import { createMemoryStore, type SandboxStore } from "../../src/sandbox/store.ts";

/** Surroundings of one service in which a test sets the clock and the forgery. */
export interface TestContext extends ServiceContext {
  time: Date;
  forged: string | undefined;
}

export const START = new Date("2026-01-02T03:04:05Z");

export function testContext(url: string, store: SandboxStore = createMemoryStore()): TestContext {
  const context: TestContext = {
    url,
    time: START,
    forged: undefined,
    now: () => context.time,
    store,
    forgery: () => context.forged,
  };
  return context;
}
