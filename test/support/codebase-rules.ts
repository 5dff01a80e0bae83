/**
 * The rules of the codebase that a linter cannot say, as pure functions over a file's path and text; the others are in
 * `.oxlintrc.json`. `test/codebase.test.ts` runs them over the tree and shows that each of either kind bites.
 * The layer table is that of the design: a file imports its own layer and those below, never above.
 */
import { functionBodies, importsOf, lineAt, maskSource } from "./source-scan.ts";

export interface SourceFile {
  /** Relative to the root of the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

export interface Violation {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

export type CodebaseRule = (file: SourceFile) => readonly Violation[];

interface Module {
  readonly folder: string;
  readonly layer: number;
  /** npm packages it may import; `any` is for the modules that touch the world. */
  readonly packages: readonly string[] | "any";
}

export const FOLDERS = ["shared", "gateway", "processor", "cli", "client", "test", "bench", "examples"] as const;
const FUNCTION_LINES_MAX = 70;

const TESTS_LAYER = 6;

/** The first module whose folder holds the file is its module, so the inner ones come first. */
const modules: readonly Module[] = [
  { folder: "shared/lib/", layer: 0, packages: [] },
  { folder: "shared/domain/", layer: 1, packages: ["valibot"] },
  { folder: "shared/ports/", layer: 2, packages: [] },
  { folder: "shared/telemetry/", layer: 2, packages: ["@opentelemetry/api"] },
  { folder: "shared/drivers/", layer: 3, packages: "any" },
  { folder: "shared/runtime/", layer: 5, packages: "any" },
  { folder: "gateway/main/", layer: 5, packages: "any" },
  { folder: "gateway/", layer: 4, packages: ["@valibot/to-json-schema", "hono", "valibot"] },
  { folder: "processor/main/", layer: 5, packages: "any" },
  { folder: "processor/", layer: 4, packages: [] },
  { folder: "cli/", layer: 5, packages: "any" },
  // Published by itself: it imports nobody, and nobody but the command line and tests imports it.
  { folder: "client/", layer: 4, packages: [] },
  { folder: "test/", layer: TESTS_LAYER, packages: "any" },
  { folder: "bench/", layer: TESTS_LAYER, packages: "any" },
  // What a reader copies: it needs nothing but the runtime, and none of ours.
  { folder: "examples/", layer: TESTS_LAYER, packages: ["node:crypto", "node:http", "node:timers"] },
];

/** Packages of the workspaces and the folder each lives in. */
const workspaces: Readonly<Record<string, string>> = {
  "@posthaste/shared": "shared",
  "@posthaste/gateway": "gateway",
  "@posthaste/processor": "processor",
  posthaste: "cli",
  "@posthaste/client": "client",
};

const driverSets = new Set(["embedded", "distributed", "edge"]);

/** oxlint forbids the other ways to the time of day, and cannot tell this one from `new Date(atMs)`. */
const presentDate = /\bnew\s+Date\b(?!\s*\(\s*[^\s)])|(?<![.\w$]|new\s+)Date\s*\(/g;

/** Imports go down the layers only, within the table's exceptions. */
export const importLayers: CodebaseRule = (file) => {
  const own = moduleOf(file.path);
  if (own?.folder === "examples/") {
    return everyImport(file, ({ target }) =>
      target === undefined ? undefined : `imports ${target}: it is to be copied`,
    );
  }
  if (own === undefined || own.layer === TESTS_LAYER) return [];
  return everyImport(file, ({ target }) => {
    if (target === undefined) return undefined;
    const other = moduleOf(target);
    if (other === undefined) return `imports ${target}, which is in no module of the layer table`;
    if (other.layer === TESTS_LAYER) return `imports ${target}; test/, bench/ and examples/ are imported by nobody`;
    const isAcross = (own.folder === "client/") !== (other.folder === "client/");
    if (isAcross && own.folder !== "cli/")
      return `imports ${target}; client is published by itself, and imported by cli alone`;
    if (other.layer > own.layer) return `layer ${own.layer} imports upward: ${target} is on layer ${other.layer}`;
    if (other.layer === 5 && other.folder !== own.folder && other.folder !== "shared/runtime/")
      return `imports ${target}; ${other.folder} is imported by nobody`;
    if (own.layer === 4 && other.layer === 3) return `imports the driver ${target}; take the port as an argument`;
    const pair = [workspaceOf(file.path), workspaceOf(target)].toSorted().join(" ");
    return pair === "gateway processor" ? `imports ${target}; gateway and processor never see each other` : undefined;
  });
};

/** One kind of driver never imports another; only the three sets gather them, and no kind imports a set. */
export const driverKinds: CodebaseRule = (file) => {
  const own = driverKindOf(file.path);
  if (own === undefined || driverSets.has(own)) return [];
  return everyImport(file, ({ target }) => {
    const other = target === undefined ? undefined : driverKindOf(target);
    return other === undefined || other === own ? undefined : `driver ${own} imports driver ${other}`;
  });
};

/** Across workspaces by package name, within one by relative path, always with `.ts`, and never computed. */
export const importForm: CodebaseRule = (file) => {
  const own = workspaceOf(file.path);
  const violations = everyImport(file, ({ specifier, target }) => {
    if (target === undefined) return undefined;
    if (!/\.(?:ts|json)$/.test(specifier)) return `"${specifier}" lacks its .ts`;
    const isRelative = specifier.startsWith(".");
    if (isRelative && workspaceOf(target) !== own) return `"${specifier}" leaves ${own}: import by package name`;
    return !isRelative && workspaceOf(target) === own
      ? `"${specifier}" is in this workspace: import relatively`
      : undefined;
  });
  if ((moduleOf(file.path)?.layer ?? TESTS_LAYER) >= 5) return violations;
  return [...violations, ...matches(file, /(?<![.\w$])import\s*\(\s*[^\s"']/g, "import of a computed name")];
};

/** Each module imports the npm packages that the table gives it; `node:` and `bun:` belong to drivers, main and tests. */
export const packages: CodebaseRule = (file) => {
  const own = moduleOf(file.path);
  if (own === undefined) return [];
  return everyImport(file, ({ specifier, target }) => {
    if (target !== undefined) return undefined;
    const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
    if (name === "undici") return `"undici" is a shim on Bun that drops the address guard: import "undici-npm"`;
    if (/^bun(?:$|:)/.test(name) && own.layer < 5) return `"${specifier}" exists on Bun alone`;
    if (own.packages === "any" || own.packages.includes(name)) return undefined;
    return `${own.folder} may not import "${specifier}" (it may import: ${own.packages.join(", ") || "no package"})`;
  });
};

/** The time of day is an argument below the drivers and main. */
export const timeOfDay: CodebaseRule = (file) => {
  const { path } = file;
  if (path.startsWith("shared/drivers/") || (moduleOf(path)?.layer ?? TESTS_LAYER) >= 5) return [];
  return matches(file, presentDate, "the time of day by Date: take a Clock");
};

/** Bodies of `describe` and of the contracts in test/contract are exempt: they are lists of tests. */
export const functionLength: CodebaseRule = ({ path, text }) => {
  const masked = maskSource(text);
  return functionBodies(masked)
    .filter(({ lines }) => lines > FUNCTION_LINES_MAX)
    .filter(({ name }) => !(path.startsWith("test/contract/") && name.endsWith("Contract")))
    .filter(({ start }) => !/\bdescribe\([^{}]*$/.test(masked.slice(Math.max(0, start - 300), start)))
    .map(({ name, line, lines }) => {
      return { path, line, message: `${name || "a function"} has ${lines} lines, more than ${FUNCTION_LINES_MAX}` };
    });
};

/** oxlint holds the case of file names. */
export const names: CodebaseRule = ({ path }) => {
  const parts = path.split("/");
  const stem = (parts.pop() ?? "").split(".")[0] ?? "";
  const at = (message: string): readonly Violation[] => [{ path, line: 1, message }];
  if (/^(?:utils?|helpers?|types|index)$/.test(stem)) return at("name the thing inside");
  return parts.every((part) => /^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(part)) ? [] : at("a folder is not in kebab-case");
};

/** `path:line message`, as editors understand it. */
export function describeViolation({ path, line, message }: Violation): string {
  return `${path}:${line} ${message}`;
}

function moduleOf(path: string): Module | undefined {
  return modules.find(({ folder }) => path.startsWith(folder));
}

/** The workspace's folder; tests and benches belong to the root package. */
function workspaceOf(path: string): string {
  const folder = path.split("/")[0] ?? "";
  return Object.values(workspaces).includes(folder) ? folder : "the root";
}

function driverKindOf(path: string): string | undefined {
  return /^shared\/drivers\/([^/.]+)/.exec(path)?.[1];
}

/** The path in the repository that a specifier names, undefined for a package that is not ours. */
function targetOf(from: string, specifier: string): string | undefined {
  if (specifier.startsWith(".")) {
    return new URL(specifier, `file:///${from}`).pathname.slice(1);
  }
  const owner = Object.entries(workspaces).find(([name]) => specifier === name || specifier.startsWith(`${name}/`));
  return owner === undefined ? undefined : `${owner[1]}${specifier.slice(owner[0].length)}`;
}

function everyImport(
  file: SourceFile,
  judge: (found: { specifier: string; target: string | undefined }) => string | undefined,
): readonly Violation[] {
  return importsOf(file.text, maskSource(file.text)).flatMap(({ specifier, line }) => {
    const message = judge({ specifier, target: targetOf(file.path, specifier) });
    return message === undefined ? [] : [{ path: file.path, line, message }];
  });
}

function matches({ path, text }: SourceFile, pattern: RegExp, message: string): readonly Violation[] {
  const masked = maskSource(text);
  return [...masked.matchAll(pattern)].map(({ index }) => ({ path, line: lineAt(masked, index), message }));
}
