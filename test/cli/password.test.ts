import { once } from "node:events";
import { describe, expect, test } from "vitest";
import type { Context, Terminal } from "../../src/cli/context.ts";
import { readPassword, type PasswordQuestion } from "../../src/cli/password.ts";
import { confirmContinue } from "../../src/cli/prompt.ts";
import { MAX_PASSWORD_BYTES } from "../../src/limits.ts";

/** What was written to standard error, and what the terminal was told. */
interface Room {
  readonly context: Context;
  readonly told: string[];
  readonly interruption: AbortController;
}

async function* pieces(input: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const piece of input) yield await Promise.resolve(Buffer.from(piece));
}

function room(
  input: readonly (string | Uint8Array)[] | AsyncIterable<Uint8Array>,
  surroundings: { readonly terminal?: boolean; readonly environment?: Context["environment"] } = {},
): Room {
  const told: string[] = [];
  const interruption = new AbortController();
  const terminal: Terminal = {
    setRawMode: (raw) => void told.push(raw ? "<raw>" : "<cooked>"),
    interrupt: () => interruption.abort(new Error("interrupted")),
  };
  const context: Context = {
    stdout: { write: () => expect.unreachable("asks on standard output"), isTerminal: true },
    stderr: { write: (text) => void told.push(text), isTerminal: true },
    stdin: Symbol.asyncIterator in input ? input : pieces(input),
    terminal: surroundings.terminal === true ? terminal : undefined,
    environment: surroundings.environment ?? {},
    now: () => new Date(0),
    fetch: () => Promise.reject(new Error("a test opened a socket")),
    signal: interruption.signal,
  };
  return { context, told, interruption };
}

const text = async (password: Promise<Uint8Array>): Promise<string> => Buffer.from(await password).toString();

describe("readPassword, from the environment", () => {
  test.each(["hunter2", "", "pä ss\n"])("takes COSIGN_PASSWORD %j as it is, and asks nobody", async (password) => {
    const { context, told } = room(["other"], { terminal: true, environment: { COSIGN_PASSWORD: password } });
    expect(await text(readPassword(context, { confirm: true }))).toBe(password);
    expect(told).toEqual([]);
  });
});

describe("readPassword, from what is no terminal", () => {
  test("takes all of standard input, a newline at the end too, as cosign does", async () => {
    expect(await text(readPassword(room(["hun", "ter2\nand more\n"]).context))).toBe("hunter2\nand more\n");
    expect(await readPassword(room([Uint8Array.of(0xff, 0x00)]).context)).toEqual(Uint8Array.of(0xff, 0x00));
  });

  test("does not take nothing for a password", async () => {
    const { context, told } = room([]);
    await expect(readPassword(context)).rejects.toMatchObject({ code: "KEY_PASSWORD_MISSING" });
    expect(told).toEqual([]);
  });

  test("stops where no password is that long", async () => {
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) yield await Promise.resolve(new Uint8Array(50_000));
    }
    await expect(readPassword(room(endless()).context)).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
    expect(await readPassword(room([new Uint8Array(MAX_PASSWORD_BYTES)]).context)).toHaveLength(MAX_PASSWORD_BYTES);
  });
});

describe("readPassword, at a terminal", () => {
  const ask = (input: readonly (string | Uint8Array)[], question?: PasswordQuestion): [Promise<string>, Room] => {
    const there = room(input, { terminal: true });
    return [text(readPassword(there.context, question)), there];
  };

  test("asks in cosign's words, unseen, and leaves the terminal as it was", async () => {
    const [password, { told }] = ask(["hunter2\r"]);
    expect(await password).toBe("hunter2");
    expect(told).toEqual(["Enter password for private key: ", "<raw>", "<cooked>", "\n"]);
  });

  test("asks twice for a new one", async () => {
    const [password, { told }] = ask(["hunter2\r", "hunter2\r"], { confirm: true });
    expect(await password).toBe("hunter2");
    expect(told.filter((one) => one.startsWith("Enter"))).toEqual([
      "Enter password for private key: ",
      "Enter password for private key again: ",
    ]);
  });

  test("refuses two that differ, and does not say them", async () => {
    const [password, { told }] = ask(["hunter2\r", "hunter3\r"], { confirm: true });
    const error: unknown = await password.catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "USAGE_INVALID", message: "passwords do not match" });
    expect(JSON.stringify(error) + told.join("")).not.toContain("hunter");
    expect(told.at(-2)).toBe("<cooked>");
  });

  test.each([
    ["letters that come one by one", ["h", "i", "\r"], "hi"],
    ["a line feed in place of a return", ["hi\n"], "hi"],
    ["nothing but the return", ["\r"], ""],
    ["a backspace", ["hu\u007fi\r"], "hi"],
    ["backspaces beyond the beginning", ["\u007f\b\u007fhi\r"], "hi"],
    ["a backspace over a letter of two bytes", ["hä\u007fi\r"], "hi"],
    ["a letter that arrives in two pieces", [Uint8Array.of(0xc3), Uint8Array.of(0xa4), "\r"], "ä"],
    ["the key that begins anew", ["secret\u0015hi\r"], "hi"],
    ["an arrow key", ["h\u001b[Di\u001bOC\r"], "hi"],
    ["other keys of control", ["h\u0001\u0007i\r"], "hi"],
    ["the end of input behind something", ["hi\u0004"], "hi"],
  ])("understands %s", async (_, input, expected) => {
    expect(await ask(input)[0]).toBe(expected);
  });

  test("keeps for the next question what was typed ahead", async () => {
    const there = room(["hunter2\rhunter2\ry\n"], { terminal: true });
    expect(await text(readPassword(there.context, { confirm: true }))).toBe("hunter2");
    await confirmContinue(there.context);
  });

  test.each([
    ["the end of input at once", ["\u0004"]],
    ["a terminal that goes away", []],
  ])("takes %s for no password", async (_, input) => {
    const [password, { told }] = ask(input);
    await expect(password).rejects.toMatchObject({ code: "KEY_PASSWORD_MISSING" });
    expect(told.at(-2)).toBe("<cooked>");
  });

  test("interrupts the program at the interrupt key, and restores the terminal before it ends", async () => {
    const never = Promise.withResolvers<never>();
    async function* hanging(): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(Buffer.from("hun\u0003"));
      yield await never.promise;
    }
    const { context, told, interruption } = room(hanging(), { terminal: true });
    const password = readPassword(context);
    password.catch(() => undefined);
    await once(interruption.signal, "abort");
    expect(told).toEqual(["Enter password for private key: ", "<raw>", "<cooked>"]);
  });

  test("does not even begin after an interruption, and leaves the terminal as it was", async () => {
    const { context, told, interruption } = room(["hunter2\r"], { terminal: true });
    interruption.abort(new Error("interrupted"));
    await expect(readPassword(context)).rejects.toThrow("interrupted");
    expect(told.at(-2)).toBe("<cooked>");
  });
});

describe("confirmContinue", () => {
  const answer = async (...input: string[]): Promise<string | undefined> => {
    const { context, told } = room(input);
    const code = await confirmContinue(context).then(
      () => undefined,
      (error: unknown) => (error as { code?: string }).code ?? String(error),
    );
    expect(told.join("")).toBe("Are you sure you would like to continue? [y/N] \n");
    return code;
  };

  test.each(["y\n", "Y\n", "y", "y\r\n", "y\nn\n"])("goes on at %j", async (typed) => {
    expect(await answer(typed)).toBeUndefined();
  });

  test("goes on at an answer that comes in pieces", async () => {
    expect(await answer("y", "\n")).toBeUndefined();
  });

  test.each(["n\n", "N\n", "\n", "", "\r\n"])("takes %j for a no", async (typed) => {
    expect(await answer(typed)).toBe("CONSENT_MISSING");
  });

  test.each(["yes\n", "x\n", " y\n", "ny\n", "\u0000\n"])("takes %j for neither", async (typed) => {
    expect(await answer(typed)).toBe("USAGE_INVALID");
  });

  test("says it in cosign's words", async () => {
    await expect(confirmContinue(room(["n\n"]).context)).rejects.toThrow("user declined the prompt");
    await expect(confirmContinue(room(["x\n"]).context)).rejects.toThrow('invalid input "x" (allowed values y, n)');
  });

  test("does not repeat what may be a password", async () => {
    await expect(confirmContinue(room(["hunter2\n"]).context)).rejects.toThrow("invalid input (allowed values y, n)");
  });

  test("reads no further than an answer can be", async () => {
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) yield await Promise.resolve(new Uint8Array(100).fill(0x79));
    }
    await expect(confirmContinue(room(endless()).context)).rejects.toMatchObject({ code: "USAGE_INVALID" });
  });

  test("answers one question with one line", async () => {
    const { context } = room(["y\nY\nn\n"]);
    await confirmContinue(context);
    await confirmContinue(context);
    await expect(confirmContinue(context)).rejects.toMatchObject({ code: "CONSENT_MISSING" });
    await expect(confirmContinue(context)).rejects.toMatchObject({ code: "CONSENT_MISSING" }); // nobody is left
  });
});
