/**
 * Regular expressions whose time has a bound: at most their size times the length of the text, whatever both are. A pattern is
 * written once by an operator, and met by data of any publisher; a matcher that tries one way after the other would stand still at
 * `^(\w+\s?)*$`. This one follows all ways at once, character by character (K. Thompson, Regular Expression Search Algorithm, 1968).
 *
 * The grammar is that of ECMA-262 with the flag `u`, as JSON Schema asks, without what needs to look back or ahead: look-around and
 * references to groups.
 */

import type { Edge, Step } from "./pattern-search.ts";
import { searchOf } from "./pattern-search.ts";

/** Steps of one pattern, with its counted repetitions written out. */
export const PATTERN_SIZE_MAX = 2000;
const DEPTH_MAX = 32;

export interface Pattern {
  /** Whether it is found anywhere in the text. `spend` is told of the steps as they are made, and may throw. */
  readonly isIn: (text: string, spend: (steps: number) => void) => boolean;
}

export type ParsedPattern =
  | { readonly kind: "parsed"; readonly pattern: Pattern }
  | { readonly kind: "refused"; readonly detail: string };

/** `detail` follows the name of a field. */
export function parsePattern(text: string): ParsedPattern {
  try {
    // It is the judge of the syntax; what follows reads only what it has let through.
    void new RegExp(text, "u");
  } catch {
    return { kind: "refused", detail: "is no regular expression of ECMA-262 with the flag u" };
  }
  try {
    const program: Step[] = [];
    emit(program, new Parser(text).whole());
    program.push({ kind: "found" });
    return { kind: "parsed", pattern: { isIn: searchOf(program) } };
  } catch (error) {
    if (error instanceof Unbounded) return { kind: "refused", detail: error.message };
    throw error;
  }
}

class Unbounded extends Error {}

type Node =
  | { readonly kind: "character"; readonly fits: (character: string) => boolean }
  | { readonly kind: "edge"; readonly edge: Edge }
  | { readonly kind: "sequence" | "choice"; readonly nodes: readonly Node[] }
  | { readonly kind: "repeat"; readonly node: Node; readonly min: number; readonly max: number };

/**
 * Stops at the bound of steps, so that nothing is written out that is not kept. Of what writes nothing out, one is as good as any
 * number, which could be repeated for ever without coming to the bound.
 */
function emit(program: Step[], node: Node): void {
  if (program.length >= PATTERN_SIZE_MAX) {
    throw new Unbounded(
      `is too large: at most ${PATTERN_SIZE_MAX} characters and repetitions, counted ones written out`,
    );
  }
  switch (node.kind) {
    case "character":
    case "edge":
      program.push(node);
      return;
    case "sequence":
      for (const part of node.nodes) emit(program, part);
      return;
    case "choice":
      emitChoice(program, node.nodes);
      return;
    case "repeat":
      for (let count = 0; count < node.min; count++) {
        const before = program.length;
        emit(program, node.node);
        if (program.length === before) break;
      }
      if (node.max === Infinity) emitLoop(program, node.node);
      else emitOptional(program, node.node, node.max - node.min);
  }
}

function emitChoice(program: Step[], nodes: readonly Node[]): void {
  const ends: { to: number }[] = [];
  nodes.forEach((node, index) => {
    if (index === nodes.length - 1) return emit(program, node);
    const fork: Step = { kind: "fork", to: 0 };
    const end: Step = { kind: "jump", to: 0 };
    program.push(fork);
    emit(program, node);
    program.push(end);
    fork.to = program.length;
    ends.push(end);
  });
  for (const end of ends) end.to = program.length;
}

function emitLoop(program: Step[], node: Node): void {
  const fork: Step = { kind: "fork", to: 0 };
  const start = program.push(fork) - 1;
  emit(program, node);
  program.push({ kind: "jump", to: start });
  fork.to = program.length;
}

function emitOptional(program: Step[], node: Node, count: number): void {
  const forks: { to: number }[] = [];
  for (let index = 0; index < count; index++) {
    const fork: Step = { kind: "fork", to: 0 };
    program.push(fork);
    emit(program, node);
    forks.push(fork);
  }
  for (const fork of forks) fork.to = program.length;
}

/** Reads what `RegExp` has taken. */
class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): Node {
    const choices: Node[] = [];
    let nodes: Node[] = [];
    while (this.#at < this.#text.length && this.#text[this.#at] !== ")") {
      if (this.#take("|")) {
        choices.push({ kind: "sequence", nodes });
        nodes = [];
      } else nodes.push(this.#repeated(this.#atom()));
    }
    return { kind: "choice", nodes: [...choices, { kind: "sequence", nodes }] };
  }

  #take(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #atom(): Node {
    if (this.#take("(")) return this.#group();
    if (this.#take("^")) return { kind: "edge", edge: "start" };
    if (this.#take("$")) return { kind: "edge", edge: "end" };
    if (this.#take(String.raw`\b`)) return { kind: "edge", edge: "word" };
    if (this.#take(String.raw`\B`)) return { kind: "edge", edge: "not-word" };
    const [atom = ""] = ATOM.exec(this.#text.slice(this.#at)) ?? [];
    if (atom === "" || /^\\[1-9k]/.test(atom)) throw new Unbounded(`has a reference to a group, ${NOT_BOUNDED}`);
    this.#at += atom.length;
    return { kind: "character", fits: characterTest(atom) };
  }

  #group(): Node {
    if (++this.#depth > DEPTH_MAX) throw new Unbounded(`has more than ${DEPTH_MAX} groups within one another`);
    const [head = ""] = /^\?(?::|<(?![=!])[^>]*>|.{1,2})/.exec(this.#text.slice(this.#at)) ?? [];
    if (head !== "" && head !== "?:" && !head.endsWith(">")) throw new Unbounded(`looks ahead or back, ${NOT_BOUNDED}`);
    this.#at += head.length;
    const node = this.whole();
    this.#take(")");
    this.#depth--;
    return node;
  }

  #repeated(node: Node): Node {
    const found = /^(?:([*+?])|\{(\d+)(,?)(\d*)\})\??/.exec(this.#text.slice(this.#at));
    if (found === null) return node;
    const [all, sign, least = "0", comma = "", most = ""] = found;
    this.#at += all.length;
    if (sign !== undefined)
      return { kind: "repeat", node, min: sign === "+" ? 1 : 0, max: sign === "?" ? 1 : Infinity };
    const [min, max] = [Number(least), comma === "" ? Number(least) : most === "" ? Infinity : Number(most)];
    const isTooMany = min > PATTERN_SIZE_MAX || (max !== Infinity && max > PATTERN_SIZE_MAX);
    if (isTooMany)
      throw new Unbounded(`repeats more than ${PATTERN_SIZE_MAX} times; bound the length by maxLength instead`);
    return { kind: "repeat", node, min, max };
  }
}

const NOT_BOUNDED = "which is not taken: its time has no bound";
/** One character, class or escape. */
const ATOM =
  /^(?:\\(?:u\{[^}]*\}|u[dD][89abAB]..\\u[dD][c-fC-F]..|u.{4}|x..|[pP]\{[^}]*\}|c.|k<[^>]*>|[\s\S])|\[(?:\\[\s\S]|[^\\\]])*\]|[\s\S])/u;

/** The runtime's own expression judges single characters, which takes it no time that could grow. */
function characterTest(atom: string): (character: string) => boolean {
  const expression = new RegExp(`^${atom}$`, "u");
  const ascii: (boolean | undefined)[] = [];
  return (character) => {
    const code = character.charCodeAt(0);
    if (code > 127) return expression.test(character);
    return (ascii[code] ??= expression.test(character));
  };
}
