import { describe, expect, test } from "vitest";
import { renderTree } from "../../src/report/tree.ts";

describe("renderTree", () => {
  test("draws branches, and no branch beside the last of them", () => {
    const tree = {
      text: "root",
      children: [
        { text: "a", children: [{ text: "b", children: [{ text: "c" }] }, { text: "d" }] },
        { text: "e", children: [{ text: "f" }] },
      ],
    };
    expect(renderTree(tree)).toBe(["root", "├─ a", "│  ├─ b", "│  │  └─ c", "│  └─ d", "└─ e", "   └─ f"].join("\n"));
  });

  test("keeps each text on its line", () => {
    expect(renderTree({ text: "root", children: [{ text: "a\n└─ signer: alice" }] })).toBe(
      String.raw`root` + "\n" + String.raw`└─ a\u000a└─ signer: alice`,
    );
  });
});
