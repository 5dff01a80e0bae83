/** A command: its words, its help and what it does, in one place, so that none of them can miss the others. */
import type { Environment } from "@posthaste/shared/domain/config.ts";
import type { Surroundings } from "@posthaste/client/public.ts";
import type { Screen } from "../screen/screen.ts";
import type { Option } from "./option.ts";

export interface Operand {
  /** As in the help: ID, FILE. */
  readonly name: string;
  readonly summary: string;
  readonly isOptional?: true;
  /** The last one may be: all words that are left. */
  readonly isMany?: true;
}

export type Options = Readonly<Record<string, Option<unknown>>>;

export interface Given<Own extends Options> {
  readonly operands: readonly string[];
  readonly options: { readonly [Name in keyof Own]: Own[Name] extends Option<infer Value> ? Value : never };
}

/** What a command touches of the world. */
export interface Context {
  readonly env: Environment;
  readonly screen: Screen;
  readonly stdin: AsyncIterable<Uint8Array>;
  readonly surroundings: Surroundings;
  /** Ends what would go on for ever; only tests abort it. */
  readonly signal: AbortSignal;
}

interface Shape {
  /** One word, or two: `events list`. */
  readonly name: string;
  /** One line, without a full stop. */
  readonly summary: string;
  /** What else is to be known, as sentences. */
  readonly about?: string;
  readonly operands?: readonly Operand[];
  readonly examples: readonly string[];
  /** It ends on signals in its own way; others are ended by Ctrl-C at once. */
  readonly isProgram?: true;
}

export interface Definition<Own extends Options> extends Shape {
  readonly options: Own;
  /** Resolves with the exit code. */
  readonly run: (given: Given<Own>, context: Context) => Promise<number>;
}

export interface Command extends Shape {
  readonly operands: readonly Operand[];
  readonly options: Options;
  readonly run: (given: Given<Options>, context: Context) => Promise<number>;
}

export function defineCommand<const Own extends Options>(definition: Definition<Own>): Command {
  const { run, operands = [], ...rest } = definition;
  // The parser has read each option by its own `read`.
  return { ...rest, operands, run: (given, context) => run(given as Given<Own>, context) };
}
