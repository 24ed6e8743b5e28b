import { readFileSync } from "node:fs";

/** A JSON object as tests change it. */
export type Json = { [key: string]: unknown };

/** Reads a file below `testdata/`. */
export function textFile(path: string): string {
  return readFileSync(new URL(`../../testdata/${path}`, import.meta.url), "utf8");
}

export function jsonFile(path: string): Json {
  return JSON.parse(textFile(path)) as Json;
}

/** Returns the object at a path as `change` takes it. */
export function pick(json: Json, path: string): Json {
  const { parent, key } = locate(json, path);
  return parent[key] as Json;
}

/** Returns a copy with one value set; the path is dotted, numbers are indexes of arrays. */
export function change<T extends Json>(json: T, path: string, value: unknown): T {
  const copy = structuredClone(json);
  const { parent, key } = locate(copy, path);
  parent[key] = value;
  return copy;
}

/** Returns a copy with one value left out. */
export function without<T extends Json>(json: T, path: string): T {
  const copy = structuredClone(json);
  const { parent, key } = locate(copy, path);
  if (!(key in parent)) throw new Error(`nothing at ${path}`);
  delete parent[key];
  return copy;
}

function locate(json: Json, path: string): { parent: Json; key: string } {
  const keys = path.split(".");
  const key = keys.pop() ?? "";
  const parent = keys.reduce<Json>((at, step) => {
    const next = at[step];
    if (typeof next !== "object" || next === null) throw new Error(`nothing at ${path}`);
    return next as Json;
  }, json);
  return { parent, key };
}

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

/** Lists the paths of every value in a JSON value. */
export function pathsOf(json: unknown, prefix = ""): string[] {
  if (typeof json !== "object" || json === null) return [];
  return Object.entries(json).flatMap(([key, value]) => [`${prefix}${key}`, ...pathsOf(value, `${prefix}${key}.`)]);
}
