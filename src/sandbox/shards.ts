/**
 * Logs of which there is one at a time: when a key is to change, the next one begins, and the one before is only read.
 *
 * @module
 */

import { encodeUtf8 } from "../encoding/utf8.ts";
import type { SandboxService, ServiceContext } from "./service.ts";
import type { Period } from "./trust-files.ts";

/** Is one log of several. */
export interface Shard<Log> {
  readonly log: Log;
  readonly period: Period;
  readonly url: string;
}

const FILE = "shards.json";

/** Holds logs of one kind, the present one last. The first is reached at the service's URL, each other one at a path below it. */
export class Shards<Log extends SandboxService> {
  readonly #context: ServiceContext;
  readonly #open: (context: ServiceContext, number: number) => Promise<Log>;
  readonly #shards: Shard<Log>[] = [];

  private constructor(context: ServiceContext, open: (context: ServiceContext, number: number) => Promise<Log>) {
    this.#context = context;
    this.#open = open;
  }

  /**
   * Opens the logs that the store holds, or begins the first one.
   *
   * @param open - Opens one of them; its number begins with 1.
   */
  static async open<Log extends SandboxService>(
    context: ServiceContext,
    open: (context: ServiceContext, number: number) => Promise<Log>,
  ): Promise<Shards<Log>> {
    const shards = new Shards(context, open);
    const kept = context.store.read(FILE);
    const periods =
      kept === undefined ? [] : (JSON.parse(new TextDecoder().decode(kept)) as { start: string; end?: string }[]);
    for (const { start, end } of periods)
      await shards.#add({ start: new Date(start), ...(end !== undefined && { end: new Date(end) }) });
    if (periods.length === 0) await shards.begin();
    return shards;
  }

  /** All of them, the present one last. */
  get all(): readonly Shard<Log>[] {
    return this.#shards;
  }

  /** The one that takes entries. */
  get current(): Shard<Log> {
    const shard = this.#shards.at(-1);
    if (shard === undefined) throw new TypeError("there is no log");
    return shard;
  }

  /** Begins the next one. */
  async begin(): Promise<Shard<Log>> {
    const now = this.#context.now();
    const before = this.#shards.pop();
    if (before !== undefined) this.#shards.push({ ...before, period: { start: before.period.start, end: now } });
    const shard = await this.#add({ start: now });
    this.#context.store.write(FILE, encodeUtf8(JSON.stringify(this.#shards.map(({ period }) => period))));
    return shard;
  }

  /** Answers with the log that the path is below. */
  fetch(request: Request): Response | Promise<Response> {
    const { origin, pathname } = new URL(request.url);
    const [first] = this.#shards;
    const below = this.#shards.slice(1).find(({ url }) => `${origin}${pathname}`.startsWith(`${url}/`));
    const shard = below ?? first;
    return shard === undefined ? new Response("not found\n", { status: 404 }) : shard.log.fetch(request);
  }

  async #add(period: Period): Promise<Shard<Log>> {
    const number = this.#shards.length + 1;
    const url = number === 1 ? this.#context.url : `${this.#context.url}/shard/${number}`;
    const store = number === 1 ? this.#context.store : this.#context.store.under(`shard-${number}`);
    const log = await this.#open({ ...this.#context, url, store }, number);
    const shard = { log, period, url };
    this.#shards.push(shard);
    return shard;
  }
}
