/** Follows all ways of a pattern at once, one character after the other. */

export type Edge = "start" | "end" | "word" | "not-word";

export type Step =
  | { readonly kind: "character"; readonly fits: (character: string) => boolean }
  | { readonly kind: "edge"; readonly edge: Edge }
  | { kind: "fork"; to: number }
  | { kind: "jump"; to: number }
  | { readonly kind: "found" };

/** Whether a text leads the program to its end, from anywhere in it. `spend` is told of the moves as they are made, and may throw. */
export type Search = (text: string, spend: (moves: number) => void) => boolean;

/** What a search needs is made once for all of its texts: a short text costs nothing of the program's size. */
export function searchOf(program: readonly Step[]): Search {
  /** By step: the last turn in which it was reached. A turn is one place of one text, and a double counts them without end. */
  const reachedAt = new Float64Array(program.length);
  let turns = 0;
  return (text, spend) => isFound(program, text, { spend, reachedAt, nextTurn: () => ++turns });
}

interface Searching {
  readonly spend: (moves: number) => void;
  readonly reachedAt: Float64Array;
  readonly nextTurn: () => number;
}

function isFound(program: readonly Step[], text: string, { spend, reachedAt, nextTurn }: Searching): boolean {
  let current: number[] = [];
  for (let at = 0; ;) {
    // A match may begin at any place.
    const reached = reach(program, [...current, 0], { text, at, turn: nextTurn(), reachedAt });
    spend(reached.length + 1);
    if (reached.isFound) return true;
    if (at >= text.length) return false;
    const character = String.fromCodePoint(text.codePointAt(at) ?? 0);
    current = reached.characters.flatMap((step) => {
      const { fits } = program[step] as { fits: (character: string) => boolean };
      return fits(character) ? [step + 1] : [];
    });
    at += character.length;
  }
}

interface Position {
  readonly text: string;
  readonly at: number;
  readonly turn: number;
  readonly reachedAt: Float64Array;
}

/** From these steps all that are reached without taking a character. */
function reach(
  program: readonly Step[],
  from: number[],
  { text, at, turn, reachedAt }: Position,
): { characters: number[]; isFound: boolean; length: number } {
  const characters: number[] = [];
  let length = 0;
  for (let index = from.pop(); index !== undefined; index = from.pop()) {
    const step = program[index];
    if (step === undefined || reachedAt[index] === turn) continue;
    reachedAt[index] = turn;
    length++;
    if (step.kind === "found") return { characters, isFound: true, length };
    if (step.kind === "character") characters.push(index);
    else if (step.kind === "jump") from.push(step.to);
    else if (step.kind === "fork") from.push(step.to, index + 1);
    else if (isAtEdge(step.edge, text, at)) from.push(index + 1);
  }
  return { characters, isFound: false, length };
}

function isAtEdge(edge: Edge, text: string, at: number): boolean {
  if (edge === "start") return at === 0;
  if (edge === "end") return at === text.length;
  const isBetween = isWord(text[at - 1]) !== isWord(text[at]);
  return isBetween === (edge === "word");
}

function isWord(character: string | undefined): boolean {
  return character !== undefined && /^\w$/.test(character);
}
