/** Query parameters. Each must be known, valid, and given once; `invalid-query` names the one that is not. */
import * as v from "valibot";
import { Instant, TenantName } from "@posthaste/shared/domain/event.ts";
import { idPattern, isId } from "@posthaste/shared/domain/id.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";
import { EVERY_TENANT } from "./tenancy.ts";

const PAGE_ROWS_DEFAULT = 20;
const PAGE_ROWS_MAX = 100;
/** Of a store's longest, 400, sealed. */
export const CURSOR_LENGTH_MAX = 640;
/** Most characters of a query; more is refused before it is parsed. */
const QUERY_LENGTH_MAX = 4096;

export type Query = ReadonlyMap<string, string>;

/** The parameters that a route knows, each with what it takes. */
export type QueryRule = Readonly<Record<string, v.GenericSchema<string, unknown>>>;

/** In a query or a body. */
export const EndpointId = v.pipe(
  v.string("must be a string"),
  v.metadata({ pattern: idPattern("ep"), description: "An endpoint's id." }),
  v.check((text) => isId("ep", text), "must be an endpoint's id"),
);

const LIMIT_REFUSAL = `must be a whole number from 1 to ${PAGE_ROWS_MAX}`;
const PageLimit = v.pipe(
  v.string(),
  v.metadata({
    type: "integer",
    minimum: 1,
    maximum: PAGE_ROWS_MAX,
    default: PAGE_ROWS_DEFAULT,
    description: "Most rows of the page; it may have fewer, and still not be the last.",
  }),
  v.check((text) => /^\d{1,4}$/.test(text), LIMIT_REFUSAL),
  v.transform(Number),
  v.minValue(1, LIMIT_REFUSAL),
  v.maxValue(PAGE_ROWS_MAX, LIMIT_REFUSAL),
);

/** Opaque; the store that made it checks it. */
const Cursor = v.pipe(
  v.string(),
  v.description("`next_cursor` of the page before, as it was."),
  v.minLength(1),
  v.maxLength(CURSOR_LENGTH_MAX),
);

const TenantFilter = v.pipe(
  v.string(),
  v.metadata({
    pattern: String.raw`^(?:\*|[A-Za-z0-9_-]{1,64})$`,
    description: "For operator keys: one tenant, `default` without it, or `*` for all of them.",
  }),
  v.check((text) => text === EVERY_TENANT || v.is(TenantName, text), "must be 1 to 64 characters of A-Z a-z 0-9 _ -"),
);

/** For one tenant, as all calls but lists are. */
export const ofTenant = { tenant: TenantName } as const satisfies QueryRule;
export const ofTenants = { tenant: TenantFilter } as const satisfies QueryRule;
const time = (description: string) => v.pipe(v.string(), v.metadata({ format: "date-time", description }), Instant);
export const within = {
  since: time("From this time on."),
  until: time("Before this time."),
} as const satisfies QueryRule;
export const paged = { limit: PageLimit, cursor: Cursor } as const satisfies QueryRule;

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

export function checkQuery(query: Query, repeated: string | null, rule: QueryRule): void {
  if (repeated !== null) throw invalid(repeated, "is given more than once");
  for (const name of query.keys()) {
    if (Object.hasOwn(rule, name)) continue;
    const known = Object.keys(rule).join(", ");
    throw invalid(name, known === "" ? "is not known; there are none here" : `is not known here; known: ${known}`);
  }
  // A call for one tenant refuses * with its remedy (`tenancy.ts`).
  parsedOf(query, ofTenants, "tenant");
}

export function limitOf(query: Query): number {
  return parsedOf(query, paged, "limit") ?? PAGE_ROWS_DEFAULT;
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
  return parsedOf(query, within, name);
}

/** The parameter as the route's rule reads it, undefined when it is not given. */
export function parsedOf<const Rule extends QueryRule, const Name extends keyof Rule & string>(
  query: Query,
  rule: Rule,
  name: Name,
): v.InferOutput<Rule[Name]> | undefined {
  const text = query.get(name);
  if (text === undefined) return undefined;
  const schema = rule[name];
  assert(schema !== undefined, "the rule has the parameter");
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
