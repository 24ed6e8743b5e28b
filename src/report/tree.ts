/**
 * A tree of lines, drawn with box characters.
 *
 * @module
 */

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

/** Makes text from a bundle or certificate safe to print: control characters and bidirectional overrides become visible escapes. */
export function sanitize(text: string): string {
  return text.replace(UNPRINTABLE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

// C0 and C1 controls, and the characters that reorder or hide what a terminal shows.
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
