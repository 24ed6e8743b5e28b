import { posix } from "node:path";
import { parseSync } from "rolldown/utils";

/** One use of another module by a source file. */
export interface Import {
  readonly from: string;
  readonly specifier: string;
  /** `type`: erased from the output, so nothing is loaded. */
  readonly kind: "static" | "dynamic" | "type";
  /** The name is passed on to whoever imports this file. */
  readonly reExport?: "by name" | "all";
}

/** What a source file asks of its surroundings. */
export interface SourceFile {
  readonly path: string;
  readonly imports: readonly Import[];
  /** What it takes from its surroundings without an import: the network, the environment, the clock, the console. */
  readonly ambient: readonly string[];
}

interface Node {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** Globals that reach outside. `globalThis` is not among them: code that asks what the runtime offers needs it. */
const AMBIENT = new Set([
  "Buffer",
  "console",
  "document",
  "fetch",
  "localStorage",
  "performance",
  "process",
  "require",
  "setImmediate",
  "setInterval",
  "setTimeout",
  "window",
  "XMLHttpRequest",
]);

/**
 * Reads what one TypeScript file imports, re-exports, and takes from its surroundings.
 *
 * @param path - Its path below the project, with slashes: `src/tlog/checkpoint.ts`.
 */
export function readSource(path: string, text: string): SourceFile {
  const { program, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`cannot read ${path}: ${errors[0]?.message ?? "unknown"}`);
  const imports: Import[] = [];
  const ambient = new Set<string>();
  const importedNames = new Map<string, string>();
  const add = (specifier: unknown, kind: Import["kind"], reExport?: Import["reExport"]): void => {
    // What is only computed while running cannot be judged here, so it gets a name that no rule allows.
    const name = typeof specifier === "string" ? specifier : "(computed)";
    imports.push({ from: path, specifier: name, kind, ...(reExport === undefined ? {} : { reExport }) });
  };

  const visit = (node: Node, parent: Node | undefined, field: string): void => {
    switch (node.type) {
      case "ImportDeclaration": {
        const specifier = literal(node["source"]);
        // `import { type X }` still loads the module, `import type { X }` does not.
        add(specifier, node["importKind"] === "type" ? "type" : "static");
        for (const one of node["specifiers"] as Node[])
          importedNames.set((one["local"] as { name: string }).name, specifier ?? "");
        break;
      }
      case "ExportAllDeclaration":
        add(literal(node["source"]), node["exportKind"] === "type" ? "type" : "static", "all");
        break;
      case "ExportNamedDeclaration": {
        const kind = node["exportKind"] === "type" ? "type" : "static";
        if (isNode(node["source"])) add(literal(node["source"]), kind, "by name");
        else
          for (const one of node["specifiers"] as Node[]) {
            const source = importedNames.get((one["local"] as { name?: string }).name ?? "");
            if (source !== undefined) add(source, kind, "by name");
          }
        break;
      }
      case "ImportExpression":
        add(literal(node["source"]), "dynamic");
        break;
      case "TSImportType":
        add(literal(node["source"] ?? node["argument"]), "type");
        break;
      case "CallExpression":
        if (isMember(node["callee"], "Date", "now") || isMember(node["callee"], "Math", "random"))
          ambient.add(memberName(node["callee"]));
        break;
      case "NewExpression":
        if (isIdentifier(node["callee"], "Date") && (node["arguments"] as unknown[]).length === 0)
          ambient.add("new Date()");
        break;
      case "Identifier": {
        const name = node["name"] as string;
        const isName =
          (parent?.type === "MemberExpression" && field === "property" && parent["computed"] !== true) ||
          (field === "key" && parent?.["computed"] !== true);
        if (AMBIENT.has(name) && !isName && !parent?.type.startsWith("TS")) ambient.add(name);
        break;
      }
      default:
    }
    for (const [key, value] of Object.entries(node)) {
      if (isNode(value)) visit(value, node, key);
      else if (Array.isArray(value)) for (const one of value) if (isNode(one)) visit(one, node, key);
    }
  };
  visit(program as unknown as Node, undefined, "program");
  return { path, imports, ambient: [...ambient] };
}

/** Gives the path of a relative import, or `undefined` for a package or a module of the runtime. */
export function resolveImport(one: Import): string | undefined {
  return one.specifier.startsWith(".") ? posix.join(posix.dirname(one.from), one.specifier) : undefined;
}

/** Gives the package that an import names: `@noble/curves` for `@noble/curves/nist.js`. */
export function packageOf(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}

function literal(node: unknown): string | undefined {
  if (!isNode(node)) return undefined;
  if (node.type === "Literal" && typeof node["value"] === "string") return node["value"];
  return node.type === "TSLiteralType" ? literal(node["literal"]) : undefined;
}

function isIdentifier(node: unknown, name: string): boolean {
  return isNode(node) && node.type === "Identifier" && node["name"] === name;
}

function isMember(node: unknown, object: string, property: string): boolean {
  return (
    isNode(node) &&
    node.type === "MemberExpression" &&
    isIdentifier(node["object"], object) &&
    isIdentifier(node["property"], property)
  );
}

function memberName(node: unknown): string {
  const { object, property } = node as { object: { name: string }; property: { name: string } };
  return `${object.name}.${property.name}()`;
}
