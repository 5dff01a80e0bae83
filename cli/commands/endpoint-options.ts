/** The settings of an endpoint as options, shared by what makes one and what changes one. */
import { readFileSync } from "node:fs";
import type { BatchSetting, RateLimit, RetryPolicy } from "@posthaste/client/public.ts";
import type { Given } from "../words/command.ts";
import type { Option } from "../words/option.ts";
import { text, texts, WrongWords } from "../words/option.ts";

/** `none` is null: the setting is taken back. */
function pair<Value>(placeholder: string, summary: string, make: (left: number, right: number) => Value) {
  const read = ([word]: readonly string[]): Value | null | undefined => {
    if (word === undefined) return undefined;
    if (word === "none") return null;
    const [, left, right] = /^(\d{1,9})\/(\d{1,9})$/.exec(word) ?? [];
    if (left === undefined || right === undefined) throw new WrongWords(`must be such as ${placeholder}, or none`);
    return make(Number(left), Number(right));
  };
  return { placeholder, summary, isMany: false, choices: [], read };
}

export function rateLimit(summary: string): Option<RateLimit | null | undefined> {
  return pair("N/MS", summary, (limit, window_ms) => ({ limit, window_ms }));
}

function batch(summary: string): Option<BatchSetting | null | undefined> {
  return pair("N/MS", summary, (max_events, max_wait_ms) => ({ max_events, max_wait_ms }));
}

function retry(summary: string): Option<RetryPolicy | null | undefined> {
  const read = ([word]: readonly string[]): RetryPolicy | null | undefined => {
    if (word === undefined) return undefined;
    if (word === "default") return null;
    const delays = word.split(",").map((part) => part.trim());
    if (delays.every((part) => /^\d{1,7}$/.test(part))) return { delays_s: delays.map(Number) };
    throw new WrongWords("must be the seconds before each attempt, such as 0,5,30,300, or default");
  };
  return { placeholder: "SECONDS", summary, isMany: false, choices: [], read };
}

export const endpointOptions = {
  types: texts("TYPES", "event types it gets, with commas: a type, a prefix with .*, or * (*)"),
  description: text("TEXT", "what it is for"),
  header: texts("'NAME: VALUE'", "a header of each delivery; an empty value removes it"),
  retry: retry("seconds before each attempt, such as 0,5,30,300, or default"),
  "rate-limit": rateLimit("attempts in so many ms, such as 10/1000, or none"),
  batch: batch("LOW events in one POST and the ms that they wait, such as 100/5000, or none"),
};

/** No word of a command: everybody on a machine can read those. */
export const secretFile = text("FILE", "a file that holds the secret to use, whsec_... (one is made)");

/** Throws `WrongWords`; the API judges the secret. */
export function secretIn(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new WrongWords(
      `--secret-file ${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** The fields of the API that were named. */
export function endpointFields(options: Given<typeof endpointOptions>["options"]) {
  const { types, description, header, retry: policy, batch: grouped } = options;
  return {
    event_types: types.length === 0 ? undefined : types.flatMap((word) => word.split(",")).map((word) => word.trim()),
    description,
    headers: header.length === 0 ? undefined : headersOf(header),
    retry: policy,
    rate_limit: options["rate-limit"],
    batch: grouped,
  };
}

function headersOf(given: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    given.map((word) => {
      const [, name, value] = /^([^:\s]+)\s*:\s*(.*)$/.exec(word) ?? [];
      if (name === undefined || value === undefined) throw new WrongWords("--header must be such as 'x-token: abc'");
      return [name, value];
    }),
  );
}
