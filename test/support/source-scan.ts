/**
 * Reads TypeScript just well enough for the house rules: blanks out comments, strings, templates and regular
 * expressions, then finds imports and function bodies by matching brackets. TypeScript 7 has no JS compiler API.
 */

export interface Import {
  readonly specifier: string;
  readonly line: number;
}

export interface FunctionBody {
  /** The declared name, or "" for an arrow function or a function expression without one. */
  readonly name: string;
  /** Line of the opening brace, from 1. */
  readonly line: number;
  /** Lines from the opening to the closing brace, both included, without those of the functions nested in it. */
  readonly lines: number;
  /** Offset of the opening brace in the source. */
  readonly start: number;
}

const regexAfterWord = new Set(
  "return typeof case in instanceof new delete void throw else do await yield of".split(" "),
);
const controlWords = new Set(["if", "for", "while", "switch", "catch", "with", "await"]);
const notATypeWord = new Set(["return", "else", "do", "try", "finally", "default", "extends", "class", "interface"]);
const opening: Readonly<Record<string, string>> = { ")": "(", "]": "[", "}": "{", ">": "<" };

/** The line of an offset, from 1. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let i = text.indexOf("\n"); i !== -1 && i < offset; i = text.indexOf("\n", i + 1)) line += 1;
  return line;
}

/**
 * The same text, of the same length, with the inside of comments, strings, templates and regular expressions turned to
 * spaces. Quotes, line ends and the code inside `${}` stay.
 */
export function maskSource(text: string): string {
  const out = text.split("");
  const templateDepths: number[] = [];
  let depth = 0;
  let i = 0;
  const blankTo = (end: number): void => {
    for (; i < end; i += 1) if (out[i] !== "\n") out[i] = " ";
  };
  const template = (): void => {
    const end = templateEnd(text, i);
    const opensCode = text[end - 1] === "{" && text[end - 2] === "$";
    blankTo(opensCode ? end - 2 : end - 1);
    i = end;
    if (opensCode) {
      templateDepths.push(depth);
      depth += 1;
    }
  };
  while (i < text.length) {
    const char = text[i] ?? "";
    if (text.startsWith("//", i)) blankTo(endOf(text, "\n", i));
    else if (text.startsWith("/*", i)) blankTo(endOf(text, "*/", i + 2) + 2);
    else if (char === '"' || char === "'") {
      const end = stringEnd(text, i + 1, char);
      i += 1;
      blankTo(end - 1);
      i = end;
    } else if (char === "`") {
      i += 1;
      template();
    } else if (char === "/" && regexMayStart(out, i)) {
      i += 1;
      blankTo(regexEnd(text, i));
      i += 1;
    } else {
      if (char === "{") depth += 1;
      if (char === "}") depth -= 1;
      i += 1;
      if (char === "}" && templateDepths.at(-1) === depth) {
        templateDepths.pop();
        template();
      }
    }
  }
  return out.slice(0, text.length).join("");
}

/** Static and dynamic imports, re-exports and `require`, with a literal specifier. */
export function importsOf(text: string, masked: string): readonly Import[] {
  const found: Import[] = [];
  for (const match of masked.matchAll(/\b(?:from\s*|import\s*\(?\s*|require\s*\(\s*)(["'])/g)) {
    const start = match.index + match[0].length;
    const specifier = text.slice(start, masked.indexOf(match[1] ?? '"', start));
    found.push({ specifier, line: lineAt(text, start) });
  }
  return found;
}

/** Bodies of functions, methods and arrow functions, nested ones too; the blocks of `if`, classes and types are not. */
export function functionBodies(masked: string): readonly FunctionBody[] {
  const found: FunctionBody[] = [];
  const open: { start: number; name: string | null; nested: number }[] = [];
  for (let i = 0; i < masked.length; i += 1) {
    if (masked[i] === "{") open.push({ start: i, name: functionNameAt(masked, i), nested: 0 });
    if (masked[i] !== "}") continue;
    const block = open.pop();
    if (block === undefined) continue;
    const line = lineAt(masked, block.start);
    const between = lineAt(masked, i) - line;
    const parent = open.at(-1);
    // The line on which a nested function begins is its parent's.
    if (parent !== undefined) parent.nested += block.name === null ? block.nested : between;
    if (block.name === null) continue;
    found.push({ name: block.name, line, lines: between + 1 - block.nested, start: block.start });
  }
  return found;
}

function endOf(text: string, mark: string, from: number): number {
  const end = text.indexOf(mark, from);
  return end === -1 ? text.length : end;
}

/** Offset after the closing quote; an unclosed string ends with its line. */
function stringEnd(text: string, from: number, quote: string): number {
  for (let i = from; i < text.length; i += 1) {
    if (text[i] === "\\") i += 1;
    else if (text[i] === quote || text[i] === "\n") return i + 1;
  }
  return text.length;
}

/** Offset after the closing back-tick or after the `${` that comes first. */
function templateEnd(text: string, from: number): number {
  for (let i = from; i < text.length; i += 1) {
    if (text[i] === "\\") i += 1;
    else if (text[i] === "`") return i + 1;
    else if (text[i] === "$" && text[i + 1] === "{") return i + 2;
  }
  return text.length;
}

/** Offset of the closing slash. */
function regexEnd(text: string, from: number): number {
  let inClass = false;
  for (let i = from; i < text.length; i += 1) {
    const char = text[i];
    if (char === "\\") i += 1;
    else if (char === "[") inClass = true;
    else if (char === "]") inClass = false;
    else if ((char === "/" && !inClass) || char === "\n") return i;
  }
  return text.length;
}

function regexMayStart(out: readonly string[], at: number): boolean {
  let i = at - 1;
  while (i >= 0 && /\s/.test(out[i] ?? "")) i -= 1;
  if (i < 0) return true;
  const before = out[i] ?? "";
  if (!/[\w$)\]"'`]/.test(before)) return true;
  if (!/[\w$]/.test(before)) return false;
  return regexAfterWord.has(wordEndingAt(out.slice(Math.max(0, i - 20), i + 1).join("")));
}

function wordEndingAt(text: string): string {
  return /[\w$]+$/.exec(text)?.[0] ?? "";
}

function skipSpaceBack(code: string, from: number): number {
  let i = from;
  while (i >= 0 && /\s/.test(code[i] ?? "")) i -= 1;
  return i;
}

/** Offset of the bracket that `code[close]` closes, or -1. The `>` of an arrow does not close anything. */
function matchBack(code: string, close: number): number {
  const closer = code[close] ?? "";
  const opener = opening[closer];
  let depth = 0;
  for (let i = close; i >= 0; i -= 1) {
    if (code[i] === closer && !(closer === ">" && code[i - 1] === "=")) depth += 1;
    if (code[i] === opener) depth -= 1;
    if (depth === 0) return i;
  }
  return -1;
}

/** The name of the function whose body opens at `brace`, "" when it has none, null when no function opens there. */
function functionNameAt(code: string, brace: number): string | null {
  const last = skipSpaceBack(code, brace - 1);
  if (code[last] === "$") return null;
  if (code[last] === ">" && code[last - 1] === "=") return "";
  const close = code[last] === ")" ? last : closeBeforeReturnType(code, last);
  if (close === -1) return null;
  const paren = matchBack(code, close);
  if (paren === -1) return null;
  let end = skipSpaceBack(code, paren - 1);
  if (code[end] === ">") end = skipSpaceBack(code, matchBack(code, end) - 1);
  const name = wordEndingAt(code.slice(Math.max(0, end - 60), end + 1));
  if (controlWords.has(name)) return null;
  return name === "function" || name === "async" ? "" : name;
}

/** Walks back over a type that ends at `end`; the offset of the `)` of `): Type {`, or -1 when there is none. */
function closeBeforeReturnType(code: string, end: number): number {
  let i = end;
  let mayBeObject = true;
  while (i >= 0) {
    const char = code[i] ?? "";
    if (char === ":") {
      const close = skipSpaceBack(code, i - 1);
      return i < end && code[close] === ")" ? close : -1;
    }
    if (char === ">" || char === "]" || char === ")" || (char === "}" && mayBeObject)) {
      i = matchBack(code, i) - 1;
      mayBeObject = false;
    } else if (/[\w$]/.test(char)) {
      const word = wordEndingAt(code.slice(Math.max(0, i - 60), i + 1));
      if (notATypeWord.has(word)) return -1;
      i -= word.length;
      mayBeObject = false;
    } else if (/[\s.,|&?"'`]/.test(char) || (char === "=" && code[i + 1] === ">")) {
      if (char === "|" || char === "&") mayBeObject = true;
      i -= 1;
    } else return -1;
  }
  return -1;
}
