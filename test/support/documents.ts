/**
 * The project's pages, and the blocks of code in them.
 *
 * A block says in its info string, after the language, what is done with it: see `test/docs/snippets.test.ts`.
 *
 * @module
 */

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { projectDir } from "./shared.ts";

/** Is a fenced block of a page. */
export interface Block {
  /** The line of its first fence, counted from 1. */
  readonly line: number;
  /** The first word of the info string. */
  readonly language: string;
  /** The other words. */
  readonly marks: readonly string[];
  /** Without the fences; ends in a newline unless empty. */
  readonly text: string;
}

/** Is a page of documentation. */
export interface Page {
  /** Relative to the project, with `/`. */
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly Block[];
}

/** Reads every page that is written by hand. */
export function readPages(): readonly Page[] {
  const top = readdirSync(projectDir).filter((name) => name.endsWith(".md"));
  const below = readdirSync(join(projectDir, "docs"), { recursive: true, encoding: "utf8" })
    .map((name) => `docs/${name.replaceAll("\\", "/")}`)
    .filter((name) => name.endsWith(".md") && !/^docs\/(site|reference)\//.test(name));
  return [...top, ...below].toSorted().map((path) => readPage(path));
}

/** Reads one page. */
export function readPage(path: string): Page {
  const text = readFileSync(join(projectDir, path), "utf8");
  return { path, text, blocks: findBlocks(text) };
}

function findBlocks(text: string): readonly Block[] {
  const blocks: Block[] = [];
  let open: { line: number; words: readonly string[]; lines: string[] } | undefined;
  for (const [index, line] of text.split("\n").entries()) {
    const info = /^```(.*)$/.exec(line)?.[1];
    if (info === undefined) {
      open?.lines.push(`${line}\n`);
    } else if (open === undefined) {
      open = { line: index + 1, words: info.trim().split(/\s+/), lines: [] };
    } else {
      const [language = "", ...marks] = open.words;
      blocks.push({ line: open.line, language, marks, text: open.lines.join("") });
      open = undefined;
    }
  }
  if (open !== undefined) throw new Error(`the block of line ${open.line} has no end`);
  return blocks;
}

/** Lists the rows of the first table whose header begins with this cell, each as its cells without backquotes. */
export function tableRows({ path, text }: Page, header: string): readonly (readonly string[])[] {
  const lines = text.split("\n");
  const cells = (line: string): string[] =>
    line
      .slice(1, line.lastIndexOf("|"))
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim());
  const start = lines.findIndex((line) => line.startsWith("|") && cells(line)[0] === header);
  if (start === -1) throw new Error(`${path} has no table with the header ${header}`);
  const end = lines.findIndex((line, index) => index > start && !line.startsWith("|"));
  return lines.slice(start + 2, end).map(cells);
}
