/**
 * CloudEvents 1.0 over HTTP, read into the parts of a `NewEvent` (cloudevents/spec: JSON format; HTTP protocol binding
 * sections 3.1 binary and 3.2 structured). Required: specversion, id, source, type. `time` becomes the event's time; the
 * extension attributes `priority`, `tenant` and `deliverat` are ours; every other attribute is taken and ignored.
 */
import * as v from "valibot";
import type { Hasher } from "../lib/ambient.ts";
import type { NewEvent } from "./event.ts";
import { encodeBase32 } from "./base32.ts";
import { Instant, Priority, PublishedType, TenantName } from "./event.ts";

/** Attribute names are lower case; null and absent mean the same (JSON format section 2.2). */
export type CloudEventAttributes = ReadonlyMap<string, unknown>;

export interface AttributeProblem {
  readonly attribute: string;
  readonly detail: string;
}

export type ParsedCloudEvent =
  | { readonly kind: "parsed"; readonly event: Omit<NewEvent, "data"> }
  | { readonly kind: "refused"; readonly problems: readonly AttributeProblem[] };

export type DecodedAttributes =
  | { readonly kind: "decoded"; readonly attributes: CloudEventAttributes }
  | { readonly kind: "invalid"; readonly header: string; readonly detail: string };

/** Most characters of a CloudEvent's id or source. */
const TEXT_LENGTH_MAX = 1024;
const HEADER_PREFIX = "ce-";
const ID_BYTES = 20;

const Text = v.pipe(
  v.string("must be a string"),
  v.minLength(1, "must not be empty"),
  v.maxLength(TEXT_LENGTH_MAX, `must have at most ${TEXT_LENGTH_MAX} characters`),
);

const jsonType = /^[a-z0-9!#$&^_.+-]+\/(?:json|[a-z0-9!#$&^_.-]+\+json)$/;

const Attributes = v.object({
  specversion: v.literal("1.0", "must be 1.0"),
  id: Text,
  source: Text,
  type: PublishedType,
  time: v.optional(Instant),
  datacontenttype: v.optional(
    v.pipe(
      v.string("must be a string"),
      v.metadata({
        description: "`application/json`, for events are delivered as JSON.",
        examples: ["application/json"],
      }),
      v.check(
        (text) => jsonType.test((text.split(";", 1)[0] ?? "").trim().toLowerCase()),
        "must be application/json, for events are delivered as JSON",
      ),
    ),
  ),
  priority: v.optional(Priority, "MEDIUM"),
  tenant: v.optional(TenantName),
  deliverat: v.optional(Instant),
});

/** The structured form: attributes and data in one object (JSON format section 3). Other members are ignored. */
export const StructuredCloudEvent = v.object({ ...Attributes.entries, data: v.unknown() });

/** Any of the required attributes as a header makes a request binary CloudEvents. */
const tellingHeaders = ["ce-specversion", "ce-type", "ce-id", "ce-source"] as const;

export function isBinaryCloudEvent(header: (name: string) => string | null): boolean {
  return tellingHeaders.some((name) => header(name) !== null);
}

/** Reads the `ce-` headers. `ce-datacontenttype` is passed over: in binary mode Content-Type says it. */
export function decodeBinaryAttributes(headers: Iterable<readonly [string, string]>): DecodedAttributes {
  const attributes = new Map<string, string>();
  for (const [name, raw] of headers) {
    const header = name.toLowerCase();
    if (!header.startsWith(HEADER_PREFIX) || header === "ce-datacontenttype") continue;
    const value = decodeHeaderValue(raw);
    if (value === null) {
      return { kind: "invalid", header, detail: `${header} is not visible ASCII with percent-encoded UTF-8.` };
    }
    attributes.set(header.slice(HEADER_PREFIX.length), value);
  }
  return { kind: "decoded", attributes };
}

export function parseCloudEvent(attributes: CloudEventAttributes, hasher: Hasher): ParsedCloudEvent {
  const given = [...attributes].filter(([name, value]) => value !== null && Object.hasOwn(Attributes.entries, name));
  const parsed = v.safeParse(Attributes, Object.fromEntries(given), { abortPipeEarly: true });
  if (!parsed.success) return { kind: "refused", problems: parsed.issues.map(attributeProblem) };
  const { id, source, type, time, priority, tenant, deliverat } = parsed.output;
  const event = {
    type,
    priority,
    id: cloudEventId(source, id, hasher),
    ...(tenant === undefined ? {} : { tenant }),
    ...(time === undefined ? {} : { timestamp: time }),
    ...(deliverat === undefined ? {} : { deliver_at: deliverat }),
  };
  return { kind: "parsed", event };
}

/**
 * `ce_` and 160 bits of SHA-256 over source and id, which together name a CloudEvent (specification section 3.1.1): the
 * same one published twice is one event.
 */
function cloudEventId(source: string, id: string, hasher: Hasher): string {
  return `ce_${encodeBase32(hasher.sha256(JSON.stringify([source, id])).subarray(0, ID_BYTES))}`;
}

function attributeProblem(issue: v.InferIssue<typeof Attributes>): AttributeProblem {
  const attribute = v.getDotPath(issue) ?? "";
  const isMissing = issue.received === "undefined";
  return { attribute, detail: isMissing ? "is required by CloudEvents 1.0" : issue.message };
}

/** Quotes and their escapes go first, then one round of percent-decoding (HTTP binding section 3.1.3.2); null when invalid. */
function decodeHeaderValue(raw: string): string | null {
  if (!/^[\x20-\x7e]*$/.test(raw)) return null;
  const isQuoted = raw.length >= 2 && raw.startsWith('"') && raw.endsWith('"');
  const text = isQuoted ? raw.slice(1, -1).replaceAll(/\\(.)/g, "$1") : raw;
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
