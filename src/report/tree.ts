/**
 * A tree of lines, drawn with box characters.
 *
 * @module
 */

import { sanitize } from "../encoding/printable.ts";

/** Is one line of a tree, with the lines below it. */
export interface TreeNode {
  readonly text: string;
  readonly children?: readonly TreeNode[] | undefined;
}

/** Draws a tree, without a final newline. */
export function renderTree(root: TreeNode): string {
  const lines = [sanitize(root.text)];
  appendChildren(root, "", lines);
  return lines.join("\n");
}

function appendChildren({ children = [] }: TreeNode, indent: string, lines: string[]): void {
  for (const [index, child] of children.entries()) {
    const last = index === children.length - 1;
    lines.push(`${indent}${last ? "└─ " : "├─ "}${sanitize(child.text)}`);
    appendChildren(child, `${indent}${last ? "   " : "│  "}`, lines);
  }
}
