/** What the keywords for numbers and texts refuse, in words that follow the name of a place; null: nothing. */
import type { SchemaObject } from "./schema.ts";
import type { Tally } from "./tally.ts";
import { characterCount, isMultipleOf } from "./values.ts";

export function numberFault(schema: SchemaObject, value: number): string | null {
  const { minimum, maximum, exclusiveMinimum: above, exclusiveMaximum: below, multipleOf } = schema;
  if (isNumber(minimum) && value < minimum) return `must be at least ${minimum}`;
  if (isNumber(maximum) && value > maximum) return `must be at most ${maximum}`;
  if (isNumber(above) && value <= above) return `must be more than ${above}`;
  if (isNumber(below) && value >= below) return `must be less than ${below}`;
  return isNumber(multipleOf) && !isMultipleOf(value, multipleOf) ? `must be a multiple of ${multipleOf}` : null;
}

export function textFault(schema: SchemaObject, value: string, tally: Pick<Tally, "spendCheap">): string | null {
  const { minLength, maxLength } = schema;
  if (minLength === undefined && maxLength === undefined) return null;
  tally.spendCheap(value.length);
  const length = characterCount(value);
  if (isNumber(minLength) && length < minLength) return `must have at least ${minLength} characters`;
  return isNumber(maxLength) && length > maxLength ? `must have at most ${maxLength} characters` : null;
}

export function isNumber(given: unknown): given is number {
  return typeof given === "number";
}

const PATTERN_SHOWN_MAX = 100;

export function clipped(pattern: string): string {
  return pattern.length <= PATTERN_SHOWN_MAX ? pattern : `${pattern.slice(0, PATTERN_SHOWN_MAX)}…`;
}
