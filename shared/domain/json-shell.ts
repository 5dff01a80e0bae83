/**
 * Parts a JSON text, so that a long list can be parsed item by item: the items of each list that stands directly in the
 * outermost object are cut out. When the shell and each item parse by themselves, the whole is JSON of the same structure.
 */
import type { Span } from "./json-span.ts";
import { stringEnd } from "./json-span.ts";

export interface JsonShell {
  /** The text with a `0` in the place of each item. */
  readonly shell: string;
  /** By the place of the list's bracket in the shell. */
  readonly items: ReadonlyMap<number, readonly Span[]>;
}

/** Takes any text in one pass, and parses nothing; null for one that ends within a string, an object or a list. */
export function shellOf(text: string): JsonShell | null {
  const items = new Map<number, Span[]>();
  let list: Span[] | null = null;
  let shell = "";
  let copied = 0;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '"') {
      const end = stringEnd(text, at);
      if (end === -1) return null;
      at = end - 1;
    } else if (char === "{" || char === "[") {
      depth++;
      if (depth !== 2 || char === "{") continue;
      shell += text.slice(copied, at + 1);
      copied = at + 1;
      list = [];
      items.set(shell.length - 1, list);
    } else if (char === "," || char === "}" || char === "]") {
      if (depth === 2 && list !== null) {
        const span = withoutSpace(text, copied, at);
        if (span !== null) list.push(span);
        shell += span === null ? "" : "0";
        copied = at;
        if (char !== ",") list = null;
        else shell += text[copied++];
      }
      if (char !== ",") depth--;
    }
  }
  return depth === 0 ? { shell: shell + text.slice(copied), items } : null;
}

/** Null when nothing but white space stands there. */
function withoutSpace(text: string, from: number, to: number): Span | null {
  let [start, end] = [from, to];
  while (start < end && isSpace(text[start])) start++;
  while (end > start && isSpace(text[end - 1])) end--;
  return start === end ? null : { start, end };
}

/** RFC 8259 section 2. */
function isSpace(char: string | undefined): boolean {
  return char === " " || char === "\n" || char === "\r" || char === "\t";
}
