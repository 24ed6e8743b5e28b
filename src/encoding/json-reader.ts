import { FormatError, type FormatErrorCode } from "../errors.ts";
import { tryDecodeBase64 } from "./base64.ts";
import type { JsonObject, JsonValue } from "./json.ts";

const DECIMAL = /^(?:0|-?[1-9][0-9]{0,18})$/;
// RFC 3339 §5.6 as protobuf narrows it: upper-case T and Z, at most nine digits of a second.
const TIMESTAMP =
  /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))$/;
const FIRST_INSTANT = Date.parse("0001-01-01T00:00:00.000Z");
const LAST_INSTANT = Date.parse("9999-12-31T23:59:59.999Z");

/**
 * Reads one value of a JSON text with the type that the format gives it.
 *
 * Every method throws {@link FormatError} with the code given when the value is of another type; the message names its path.
 *
 * @see {@link https://protobuf.dev/programming-guides/json/ | ProtoJSON format}
 */
export class JsonReader {
  readonly value: JsonValue;
  /** Where the value stands, for messages: `bundle.verificationMaterial`. */
  readonly path: string;
  readonly #code: FormatErrorCode;

  constructor(value: JsonValue, path: string, code: FormatErrorCode) {
    this.value = value;
    this.path = path;
    this.#code = code;
  }

  /** Reads an object; one with a field outside `allowed`, where that is given, is refused. */
  object(allowed?: readonly string[]): JsonObjectReader {
    if (typeof this.value !== "object" || this.value === null || Array.isArray(this.value))
      this.fail("is not an object");
    const reader = new JsonObjectReader(this.value as JsonObject, this.path, this.#code);
    if (allowed !== undefined) {
      const [unknown] = reader.unknown(allowed);
      if (unknown !== undefined) this.fail(`has the unknown field ${JSON.stringify(shorten(unknown))}`);
    }
    return reader;
  }

  /**
   * Reads an array of at most `max` items.
   *
   * @throws {@link FormatError} also `LIMIT_EXCEEDED`.
   */
  array(max: number): readonly JsonReader[] {
    const { value, path } = this;
    if (!isArray(value)) this.fail("is not an array");
    if (value.length > max) {
      throw new FormatError("LIMIT_EXCEEDED", `${path} has too many items`, {
        expected: `at most ${max}`,
        found: `${value.length}`,
      });
    }
    return value.map((item, index) => new JsonReader(item, `${path}[${index}]`, this.#code));
  }

  string(): string {
    if (typeof this.value !== "string") this.fail("is not a string");
    return this.value;
  }

  /**
   * Reads canonical base64 of at most `maxBytes` bytes.
   *
   * @throws {@link FormatError} also `LIMIT_EXCEEDED`.
   */
  base64(maxBytes?: number): Uint8Array {
    const text = this.string();
    if (maxBytes !== undefined && text.length > Math.ceil(maxBytes / 3) * 4) this.#tooLarge(maxBytes, text);
    const bytes = tryDecodeBase64(text);
    if (bytes === undefined) this.fail("is not canonical base64 (standard alphabet, with padding, no white space)");
    if (maxBytes !== undefined && bytes.length > maxBytes) this.#tooLarge(maxBytes, text);
    return bytes;
  }

  /** Reads a signed 64-bit integer: decimal digits in a string, or a number that holds it exactly. */
  int64(): bigint {
    if (typeof this.value === "number") {
      if (!Number.isSafeInteger(this.value)) this.fail("is not an integer that a JSON number holds exactly");
      return BigInt(this.value);
    }
    if (typeof this.value !== "string" || !DECIMAL.test(this.value)) this.fail("is not a decimal integer");
    const integer = BigInt(this.value);
    if (BigInt.asIntN(64, integer) !== integer) this.fail("does not fit into 64 bits");
    return integer;
  }

  /** Reads an unsigned 32-bit integer: a number, or decimal digits in a string. */
  uint32(): number {
    const integer = this.int64();
    if (integer < 0n || integer > 0xffff_ffffn) this.fail("does not fit into 32 bits without a sign");
    return Number(integer);
  }

  boolean(): boolean {
    if (typeof this.value !== "boolean") this.fail("is neither true nor false");
    return this.value;
  }

  /** Reads a protobuf Timestamp; digits below a millisecond are dropped. */
  timestamp(): Date {
    const match = TIMESTAMP.exec(this.string());
    if (match === null) this.fail("is not a time such as 2026-01-31T23:59:59Z");
    const [, year, month, day, hour, minute, second, fraction = "", sign, offsetHour = "0", offsetMinute = "0"] = match;
    const time = new Date(0);
    time.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
    // A day that its month lacks, and a month that no year has, are carried into another month.
    if (time.getUTCMonth() !== Number(month) - 1) this.fail("names a day that does not exist");
    if (
      Number(hour) > 23 ||
      Number(minute) > 59 ||
      Number(second) > 59 ||
      Number(offsetHour) > 23 ||
      Number(offsetMinute) > 59
    ) {
      this.fail("names a time of day that does not exist");
    }
    time.setUTCHours(Number(hour), Number(minute), Number(second), Number(fraction.slice(0, 3).padEnd(3, "0")));
    const offset = (Number(offsetHour) * 60 + Number(offsetMinute)) * 60_000;
    const instant = time.getTime() - (sign === "-" ? -offset : offset);
    if (instant < FIRST_INSTANT || instant > LAST_INSTANT) this.fail("is outside the years 1 to 9999");
    return new Date(instant);
  }

  /** Reads one of the strings given. */
  oneOf<T extends string>(values: readonly T[]): T {
    const text = this.string();
    const found = values.find((value) => value === text);
    if (found === undefined) {
      throw new FormatError(this.#code, `${this.path} has an unknown value`, {
        expected: values.join(" or "),
        found: shorten(text),
      });
    }
    return found;
  }

  /** Throws the error of this format: `problem` completes "the value at this path …". */
  fail(problem: string): never {
    throw new FormatError(this.#code, `${this.path} ${problem}`);
  }

  #tooLarge(maxBytes: number, text: string): never {
    throw new FormatError("LIMIT_EXCEEDED", `${this.path} is too large`, {
      expected: `at most ${maxBytes} bytes`,
      found: `${Math.floor((text.length * 3) / 4)} bytes`,
    });
  }
}

/** Reads the fields of a JSON object. A field that is absent and one that is `null` are both not set, as in ProtoJSON. */
export class JsonObjectReader {
  readonly path: string;
  readonly #object: JsonObject;
  readonly #code: FormatErrorCode;

  constructor(object: JsonObject, path: string, code: FormatErrorCode) {
    this.path = path;
    this.#object = object;
    this.#code = code;
  }

  /** Tells whether the field is set. */
  has(key: string): boolean {
    return Object.hasOwn(this.#object, key) && this.#object[key] !== null;
  }

  /** Lists the names of all fields, `null` ones too. */
  keys(): readonly string[] {
    return Object.keys(this.#object);
  }

  optional(key: string): JsonReader | undefined {
    if (!Object.hasOwn(this.#object, key)) return undefined;
    const value = this.#object[key] as JsonValue;
    return value === null ? undefined : new JsonReader(value, `${this.path}.${key}`, this.#code);
  }

  /** @throws {@link FormatError} with the code of the format when the field is not set. */
  required(key: string): JsonReader {
    const reader = this.optional(key);
    if (reader === undefined) throw new FormatError(this.#code, `${this.path} has no ${key}`);
    return reader;
  }

  /** Lists the names of fields outside `allowed`, for a reader that ignores and reports them. */
  unknown(allowed: readonly string[]): readonly string[] {
    return this.keys().filter((key) => !allowed.includes(key));
  }
}

function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function shorten(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
