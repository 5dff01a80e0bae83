/** The kinds of options that commands take: what each looks like in the help, and how its words are read. */

export interface Option<Value> {
  /** What stands for the value in the help, such as FILE; null: a flag without one. */
  readonly placeholder: string | null;
  readonly summary: string;
  /** It may be given several times. */
  readonly isMany: boolean;
  /** The values there are, for completion; empty when they are free. */
  readonly choices: readonly string[];
  /** The words that were given for it, in order; `nowMs` is what a span is counted from. Throws `WrongWords` with what they must be. */
  readonly read: (given: readonly string[], nowMs: number) => Value;
}

/** The words of a command are not understood, or its wish cannot be: exit code 2. */
export class WrongWords extends Error {
  override readonly name = "WrongWords";
}

export function flag(summary: string): Option<boolean> {
  return { placeholder: null, summary, isMany: false, choices: [], read: (given) => given.length > 0 };
}

export function text(placeholder: string, summary: string): Option<string | undefined> {
  return { placeholder, summary, isMany: false, choices: [], read: ([word]) => word };
}

export function texts(placeholder: string, summary: string): Option<readonly string[]> {
  return { placeholder, summary, isMany: true, choices: [], read: (given) => given };
}

export function whole(
  placeholder: string,
  summary: string,
  { least, most }: { readonly least: number; readonly most: number },
): Option<number | undefined> {
  const read = ([word]: readonly string[]): number | undefined => {
    if (word === undefined) return undefined;
    const value = Number(word);
    if (/^\d{1,9}$/.test(word) && value >= least && value <= most) return value;
    throw new WrongWords(`must be a whole number from ${least} to ${most}`);
  };
  return { placeholder, summary, isMany: false, choices: [], read };
}

export function choice<const Name extends string>(
  choices: readonly Name[],
  placeholder: string,
  summary: string,
): Option<Name | undefined> {
  return { placeholder, summary, isMany: false, choices, read: ([word]) => oneOf(choices, word) };
}

export function choicesOf<const Name extends string>(
  choices: readonly Name[],
  placeholder: string,
  summary: string,
): Option<readonly Name[]> {
  const read = (given: readonly string[]): readonly Name[] =>
    given.flatMap((word) => word.split(",")).flatMap((word) => oneOf(choices, word) ?? []);
  return { placeholder, summary, isMany: true, choices, read };
}

/** A time as RFC 3339, or a span: `30m` before now, or ahead of it. */
export function time(summary: string, direction: "ago" | "ahead"): Option<string | undefined> {
  const read = ([word]: readonly string[], nowMs: number): string | undefined => {
    if (word === undefined) return undefined;
    const ms = spanMs(word);
    if (ms !== null) return new Date(nowMs + (direction === "ago" ? -ms : ms)).toISOString();
    if (/^\d{4}-\d\d-\d\d/.test(word) && !Number.isNaN(Date.parse(word))) return new Date(word).toISOString();
    throw new WrongWords("must be a time such as 2026-01-31T12:00:00Z, or a span such as 30m, 2h or 7d");
  };
  return { placeholder: "TIME", summary, isMany: false, choices: [], read };
}

const UNITS_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `30s`, `30m`, `2h`, `7d`; null for anything else. */
export function spanMs(word: string): number | null {
  const [, count, unit = ""] = /^(\d{1,6})([smhd])$/.exec(word) ?? [];
  return count === undefined ? null : Number(count) * (UNITS_MS[unit] ?? 0);
}

function oneOf<Name extends string>(choices: readonly Name[], word: string | undefined): Name | undefined {
  if (word === undefined) return undefined;
  const found = choices.find((name) => name === word);
  if (found !== undefined) return found;
  throw new WrongWords(`must be one of ${choices.join(", ")}, and not ${JSON.stringify(word)}`);
}
