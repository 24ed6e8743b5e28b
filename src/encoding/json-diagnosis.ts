/** Says why a text is not JSON with exactly one meaning. */
export interface JsonProblem {
  readonly kind: "syntax" | "duplicate-key";
  /** Completes "the text …". */
  readonly message: string;
  readonly remedy?: string | undefined;
}

/**
 * Finds the first problem of a text that the fast path of `parseJson` refused, and words it for a person.
 *
 * Walks the text once more, without building values; nesting must already be bounded.
 */
export function diagnoseJson(text: string): JsonProblem {
  const start = text.trimStart();
  if (start === "") return { kind: "syntax", message: "is empty" };
  if (text.startsWith("\ufeff")) {
    return {
      kind: "syntax",
      message: "begins with a byte order mark, which JSON forbids",
      remedy: "save it as UTF-8 without a byte order mark",
    };
  }
  if (start.startsWith("<")) {
    return {
      kind: "syntax",
      message: "is not JSON but looks like HTML or XML",
      remedy: "check that the download gave the file itself and not a web page",
    };
  }
  if (start.startsWith("-----BEGIN ")) {
    return {
      kind: "syntax",
      message: "is not JSON but looks like PEM",
      remedy: "check that keys and certificates are not given in its place",
    };
  }
  const walk = new Walk(text);
  try {
    walk.document();
  } catch (error) {
    if (error instanceof Found) return error.problem;
    throw error;
  }
  // Not reached: the caller found a problem, and this walk knows every rule that the caller knows.
  return { kind: "syntax", message: "is not JSON" };
}

/** Ends the walk; never leaves this file. */
class Found extends Error {
  readonly problem: JsonProblem;
  constructor(problem: JsonProblem) {
    super(problem.message);
    this.problem = problem;
  }
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

class Walk {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): void {
    this.#value("");
    this.#space();
    if (this.#at < this.#text.length) this.#fail(`has ${this.#seen()} after its end`);
  }

  #value(path: string): void {
    this.#space();
    const text = this.#text;
    const character = text[this.#at];
    if (character === "{") this.#object(path);
    else if (character === "[") this.#array(path);
    else if (character === '"') this.#string();
    else if (character === "-" || (character !== undefined && character >= "0" && character <= "9")) this.#number();
    else {
      for (const word of ["true", "false", "null"]) {
        if (text.startsWith(word, this.#at)) {
          this.#at += word.length;
          return;
        }
      }
      this.#fail(`has ${this.#seen()} where a value should be`);
    }
  }

  #object(path: string): void {
    this.#at++;
    const keys = new Set<string>();
    this.#space();
    if (this.#take("}")) return;
    do {
      this.#space();
      const at = this.#at;
      if (this.#text[at] !== '"') this.#fail(`has ${this.#seen()} where a member name in quotation marks should be`);
      const key = this.#string();
      if (keys.has(key)) {
        this.#at = at;
        this.#fail(`has the member ${JSON.stringify(key)} twice${path === "" ? "" : ` in ${path}`}`, "duplicate-key");
      }
      keys.add(key);
      this.#space();
      if (!this.#take(":")) this.#fail(`has ${this.#seen()} where a colon should be`);
      this.#value(path === "" ? key : `${path}.${key}`);
      this.#space();
    } while (this.#take(","));
    if (!this.#take("}")) this.#fail(`has ${this.#seen()} where a comma or the end of an object should be`);
  }

  #array(path: string): void {
    this.#at++;
    this.#space();
    if (this.#take("]")) return;
    let index = 0;
    do {
      this.#value(`${path}[${index++}]`);
      this.#space();
    } while (this.#take(","));
    if (!this.#take("]")) this.#fail(`has ${this.#seen()} where a comma or the end of an array should be`);
  }

  #string(): string {
    const text = this.#text;
    const start = this.#at++;
    for (;;) {
      const code = text.charCodeAt(this.#at);
      if (Number.isNaN(code)) this.#fail("ends inside a string");
      if (code < 0x20) this.#fail("has a control character inside a string");
      if (code === 0x5c /* \ */) {
        const escape = /^(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/.exec(text.slice(this.#at + 1, this.#at + 6));
        if (escape === null) this.#fail("has an unknown escape inside a string");
        this.#at += 1 + escape[0].length;
        continue;
      }
      this.#at++;
      if (code === 0x22 /* " */) break;
    }
    const value = JSON.parse(text.slice(start, this.#at)) as string;
    if (!value.isWellFormed()) {
      this.#at = start;
      this.#fail("has a lone surrogate in a string");
    }
    return value;
  }

  #number(): void {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match === null) this.#fail("has a number that is not one");
    if (!Number.isFinite(Number(match[0]))) this.#fail("has a number beyond all bounds");
    this.#at = NUMBER.lastIndex;
  }

  #space(): void {
    for (; ; this.#at++) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
    }
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #seen(): string {
    const code = this.#text.codePointAt(this.#at);
    return code === undefined ? "its end" : JSON.stringify(String.fromCodePoint(code));
  }

  #fail(problem: string, kind: JsonProblem["kind"] = "syntax"): never {
    const before = this.#text.slice(0, this.#at);
    const line = before.split("\n").length;
    const column = this.#at - before.lastIndexOf("\n");
    const truncated = this.#at >= this.#text.length;
    throw new Found({
      kind,
      message: truncated
        ? `is cut off: it ends in line ${line}, column ${column}, before it is complete`
        : `${problem} (line ${line}, column ${column})`,
      remedy: truncated ? "fetch it again, and compare its size" : undefined,
    });
  }
}
