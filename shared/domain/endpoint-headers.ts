/** The extra headers of an endpoint. Their values carry passwords and tokens: they are written, and never shown. */
import * as v from "valibot";

export const HEADERS_MAX = 20;

/** They frame, code or steer the message itself, or are signed or set by us. */
const ownHeaders =
  /^(?:host|content-.*|connection|keep-alive|transfer-encoding|accept-encoding|te|trailer|upgrade|http2-settings|expect|range|if-.*|proxy-.*|webhook-.*|posthaste-.*|traceparent|tracestate|user-agent)$/;

/** Names of every object's own, which are lost where an object is read or copied with care. */
const namesOfObjects = /^(?:__proto__|constructor|prototype)$/;

/** What the API shows instead of a header's value. */
export const HEADER_MASK = "***";

const HeaderName = v.pipe(
  v.string(),
  v.regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/, "must be an HTTP header name of at most 64 characters"),
  // Held to by `headerFault`, which knows better what to say.
  v.metadata({ not: { pattern: `${inAnyCase(ownHeaders)}|${inAnyCase(namesOfObjects)}` } }),
);
const HeaderValue = v.pipe(
  v.string("must be a string"),
  v.regex(/^[\t\x20-\x7e]{0,1024}$/, "must be at most 1024 visible ASCII characters, without line breaks"),
);

const NullableHeaderValue = v.nullable(HeaderValue);

const NO_OBJECT = "must be an object of header names and values";
// A list would pass for an object with the names 0, 1, 2.
const noList = v.check((input: unknown) => !Array.isArray(input), NO_OBJECT);
/** Looked at before the headers themselves, so that a thousand cost no more than their refusal. */
const few = (max: number, what: string) =>
  v.check((input: unknown) => Object.keys(input ?? {}).length <= max, `must have at most ${max} ${what}`);

export const ExtraHeaders = v.pipe(
  v.unknown(),
  v.metadata({
    type: "object",
    propertyNames: HeaderName,
    additionalProperties: HeaderValue,
    maxProperties: HEADERS_MAX,
    description: "Header names and values. Those that HTTP or Posthaste itself sets are refused.",
    examples: [{ "x-token": "a1b2c3" }],
  }),
  noList,
  few(HEADERS_MAX, "headers"),
  v.record(HeaderName, HeaderValue, NO_OBJECT),
  v.rawCheck<Record<string, string>>(({ dataset, addIssue }) => {
    if (dataset.typed) checkHeaders(dataset.value, addIssue);
  }),
  v.transform(withLowerNames),
);

/** As `PATCH` takes them: each changes one header alone, and null removes it, also one that could not be set any more. */
export const HeaderChanges = v.pipe(
  v.unknown(),
  v.metadata({
    type: "object",
    propertyNames: HeaderName,
    additionalProperties: NullableHeaderValue,
    maxProperties: 2 * HEADERS_MAX,
    description: "Each changes one header alone; null removes it.",
    examples: [{ "x-token": "new", "x-old": null }],
  }),
  noList,
  few(2 * HEADERS_MAX, "changes"),
  v.record(HeaderName, NullableHeaderValue, NO_OBJECT),
  v.rawCheck<Record<string, string | null>>(({ dataset, addIssue }) => {
    if (dataset.typed) checkHeaders(dataset.value, addIssue);
  }),
  v.transform(withLowerNames),
);

function checkHeaders<Value extends string | null>(
  headers: Record<string, Value>,
  addIssue: (info: { readonly message: string; readonly path: [v.ObjectPathItem] }) => void,
): void {
  const seen = new Set<string>();
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    const message = headerFault(lower, value, seen);
    if (message !== null)
      addIssue({ message, path: [{ type: "object", origin: "value", input: headers, key: name, value }] });
    seen.add(lower);
  }
}

function headerFault(name: string, value: string | null, seen: ReadonlySet<string>): string | null {
  if (seen.has(name)) return "is given more than once; upper and lower case make one name";
  if (value === null) return null;
  if (ownHeaders.test(name)) return "is a header that Posthaste or HTTP itself sets";
  if (namesOfObjects.test(name)) return "is no name that a header here can have; choose another";
  // Spaces around a value are no part of it on the wire (RFC 9110 section 5.5).
  if (value.trim() === HEADER_MASK)
    return "is the mask that the API shows; give the value, or leave the header out to keep it";
  return null;
}

/** JSON Schema knows no flags of a pattern, so each letter stands in both cases. */
function inAnyCase({ source }: RegExp): string {
  return source.replaceAll(/[a-z]/g, (letter) => `[${letter.toUpperCase()}${letter}]`);
}

function withLowerNames<Value>(headers: Record<string, Value>): Record<string, Value> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
