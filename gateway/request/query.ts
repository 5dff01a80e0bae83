/** Query parameters. Each must be known, valid, and given once; `invalid-query` names the one that is not. */
import * as v from "valibot";
import { Instant, TenantName } from "@posthaste/shared/domain/event.ts";
import { isId } from "@posthaste/shared/domain/id.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { EVERY_TENANT } from "./tenancy.ts";

const PAGE_ROWS_DEFAULT = 20;
const PAGE_ROWS_MAX = 100;
/** Of a store's longest, 400, sealed. */
export const CURSOR_LENGTH_MAX = 640;
/** Most characters of a query; more is refused before it is parsed. */
const QUERY_LENGTH_MAX = 4096;

export type Query = ReadonlyMap<string, string>;

/** In a query or a body. */
export const EndpointId = v.pipe(
  v.string("must be a string"),
  v.check((text) => isId("ep", text), "must be an endpoint's id"),
);

const NO_QUERY: Query = new Map<string, string>();

/** Of a parameter given twice the first counts, until `checkQuery` refuses it. */
export function parseQuery(url: string): { query: Query; repeated: string | null } {
  const mark = url.indexOf("?");
  if (mark === -1 || mark === url.length - 1) return { query: NO_QUERY, repeated: null };
  if (url.length - mark > QUERY_LENGTH_MAX) {
    throw new PosthasteError("invalid-query", `The query may have at most ${QUERY_LENGTH_MAX} characters.`);
  }
  const query = new Map<string, string>();
  let repeated: string | null = null;
  const end = url.indexOf("#", mark);
  // Bun takes 20 ms for 4,000 empty parameters, which say nothing.
  const text = url.slice(mark + 1, end === -1 ? url.length : end).replace(/&{2,}/g, "&");
  for (const [name, value] of new URLSearchParams(text)) {
    if (query.has(name)) repeated ??= name;
    else query.set(name, value);
  }
  return { query, repeated };
}

export function checkQuery(query: Query, repeated: string | null, known: readonly string[]): void {
  if (repeated !== null) throw invalid(repeated, "is given more than once");
  for (const name of query.keys()) {
    if (!known.includes(name)) {
      throw invalid(
        name,
        known.length === 0 ? "is not known; there are none here" : `is not known here; known: ${known.join(", ")}`,
      );
    }
  }
  const tenant = query.get("tenant");
  if (tenant !== undefined && tenant !== EVERY_TENANT && !v.is(TenantName, tenant)) {
    throw invalid("tenant", "must be 1 to 64 characters of A-Z a-z 0-9 _ -");
  }
}

export function limitOf(query: Query): number {
  const text = query.get("limit");
  if (text === undefined) return PAGE_ROWS_DEFAULT;
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= PAGE_ROWS_MAX) return limit;
  throw invalid("limit", `must be a whole number from 1 to ${PAGE_ROWS_MAX}`);
}

/** As it was given; `cursors.ts` opens it. */
export function cursorOf(query: Query): string | null {
  const text = query.get("cursor");
  if (text === undefined) return null;
  if (text.length >= 1 && text.length <= CURSOR_LENGTH_MAX) return text;
  throw new PosthasteError("invalid-cursor", "This cursor was not given out by this list.");
}

/** Epoch ms of an RFC 3339 time, undefined when it is not given. */
export function instantOf(query: Query, name: "since" | "until"): number | undefined {
  // A + in a query is a space (application/x-www-form-urlencoded).
  if (/ \d\d:\d\d$/.test(query.get(name) ?? "")) throw invalid(name, "has a space before its offset; write + as %2B");
  return parsedOf(query, name, Instant);
}

/** The parameter as the schema reads it, undefined when it is not given. */
export function parsedOf<const S extends v.GenericSchema<string, unknown>>(
  query: Query,
  name: string,
  schema: S,
): v.InferOutput<S> | undefined {
  const text = query.get(name);
  if (text === undefined) return undefined;
  const parsed = v.safeParse(schema, text);
  if (parsed.success) return parsed.output;
  throw invalid(name, parsed.issues[0].message);
}

function invalid(parameter: string, detail: string): PosthasteError {
  const shown = parameter.slice(0, 64);
  return new PosthasteError("invalid-query", {
    detail: `The query parameter ${shown} ${detail}.`,
    errors: [{ parameter: shown, detail }],
  });
}
