/**
 * An event as the publisher sent it, in any form: a JSON event, a batch's item, or a CloudEvent. `data` is cut out of the
 * request as text, so that no number is rounded and no member is reordered or lost.
 */
import type { FieldProblem } from "@posthaste/shared/domain/errors.ts";
import type { Priority } from "@posthaste/shared/domain/event.ts";
import type { ObjectSpans } from "@posthaste/shared/domain/json-span.ts";
import type { Path, SchemaFault } from "@posthaste/shared/domain/json-schema/schema.ts";
import type { Hasher } from "@posthaste/shared/lib/ambient.ts";
import type { CloudEventAttributes } from "@posthaste/shared/domain/cloud-event.ts";
import { decodeBinaryAttributes, isBinaryCloudEvent, parseCloudEvent } from "@posthaste/shared/domain/cloud-event.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { DELIVER_AHEAD_MS_MAX, NewEvent } from "@posthaste/shared/domain/event.ts";
import { encodeHex } from "@posthaste/shared/domain/hex.ts";
import { JSON_DEPTH_MAX, objectSpans } from "@posthaste/shared/domain/json-span.ts";
import type { InboundHeaders } from "@posthaste/shared/ports/inbound-request.ts";
import type { BodyForm } from "../request/headers.ts";
import { parseJson } from "../request/body.ts";
import { failed, givenTwice, pointerTo, validate } from "../request/validation.ts";

/** What is wrong with the data of an event of this type, by the catalogue of event types; places begin with `type` or `data`. */
export type CheckType = (type: string, data: unknown) => readonly SchemaFault[];

export interface Draft {
  readonly type: string;
  readonly priority: Priority;
  /** The publisher's own id, or the one derived from a CloudEvent; null: we make one. */
  readonly id: string | null;
  readonly tenant: string | null;
  readonly timestampMs: number | null;
  readonly deliverAtMs: number | null;
  readonly dataText: string;
  /** What the catalogue has against it: of this moment, so that a repeat of what was accepted before is taken all the same. */
  readonly faults: readonly FieldProblem[];
}

/** The draft, and the headers that belong to the request's fingerprint. */
export interface ReadDraft {
  readonly draft: Draft;
  /** Attributes that came as headers; empty otherwise. */
  readonly headerText: string;
}

export function readDraft(input: {
  text: string;
  form: BodyForm;
  headers: InboundHeaders;
  nowMs: number;
  hasher: Hasher;
  check: CheckType;
}): ReadDraft {
  const { text, form, headers } = input;
  if (form === "cloudevent") return { draft: structuredDraft(text, input), headerText: "" };
  if (isBinaryCloudEvent((name) => headers.get(name))) return binaryDraft(text, headers, input);
  const value = parseJson(text, JSON_DEPTH_MAX);
  return { draft: itemDraft(value, text, input), headerText: "" };
}

interface DraftRules {
  readonly nowMs: number;
  readonly check: CheckType;
}

/** From a value and the text it was parsed from. Throws `invalid-json` for a repeated member, `validation-failed` for all but the catalogue's faults. */
export function itemDraft(value: unknown, text: string, { nowMs, check }: DraftRules): Draft {
  const spans = isPlainObject(value) ? uniqueSpans(text) : null;
  const event = validate(NewEvent, value);
  const faults = placed(check(event.type, event.data), (path) => ({ pointer: pointerTo(path) }));
  const dataText = spans === null ? "null" : textOf(spans, "data", text);
  return draftOf(event, { dataText, faults, nowMs, deliverAtPlace: "#/deliver_at" });
}

/** The same event has the same fingerprint in each form. */
export function draftFingerprint(draft: Draft, hasher: Hasher): string {
  const facts = JSON.stringify([draft.type, draft.priority, draft.timestampMs, draft.deliverAtMs]);
  return encodeHex(hasher.sha256(`${facts}\n${draft.dataText}`));
}

function draftOf(
  event: NewEvent | Omit<NewEvent, "data">,
  facts: Pick<Draft, "dataText" | "faults"> & { readonly nowMs: number; readonly deliverAtPlace: string },
): Draft {
  const { dataText, faults, nowMs, deliverAtPlace } = facts;
  const deliverAtMs = event.deliver_at ?? null;
  if (deliverAtMs !== null && deliverAtMs > nowMs + DELIVER_AHEAD_MS_MAX) {
    const days = DELIVER_AHEAD_MS_MAX / 86_400_000;
    throw failed([problemAt(deliverAtPlace, `must lie at most ${days} days ahead`)]);
  }
  return {
    type: event.type,
    priority: event.priority,
    id: event.id ?? null,
    tenant: event.tenant ?? null,
    timestampMs: event.timestamp ?? null,
    deliverAtMs,
    dataText,
    faults,
  };
}

type PlaceOf = (path: Path) => Omit<FieldProblem, "detail">;

/** The parsed data is not kept: it would take memory until the event is stored. */
function placed(faults: readonly SchemaFault[], placeOf: PlaceOf): readonly FieldProblem[] {
  return faults.map(({ path, detail }) => ({ ...placeOf(path), detail }));
}

function problemAt(place: string, detail: string): FieldProblem {
  return place.startsWith("#") ? { pointer: place, detail } : { header: place, detail };
}

interface CloudEventRules extends DraftRules {
  readonly hasher: Hasher;
}

/** CloudEvents HTTP binding section 3.1: attributes in headers, the body is the data. */
function binaryDraft(text: string, headers: InboundHeaders, rules: CloudEventRules): ReadDraft {
  const { nowMs, hasher, check } = rules;
  const decoded = decodeBinaryAttributes(headers.entries());
  if (decoded.kind === "invalid") {
    const { header, detail } = decoded;
    throw new PosthasteError("invalid-header", { detail, errors: [{ header, detail }] });
  }
  // One less, as the delivered data stands inside the event's own object.
  const data = parseJson(text, JSON_DEPTH_MAX - 1);
  const event = cloudEventOf(decoded.attributes, hasher, (attribute) => ({ header: `ce-${attribute}` }));
  const faults = placed(check(event.type, data), ([member, ...path]) =>
    member === "type" ? { header: "ce-type" } : { pointer: pointerTo(path) },
  );
  const sorted = [...decoded.attributes].toSorted(([left], [right]) => (left < right ? -1 : 1));
  const draft = draftOf(event, { dataText: text.trim(), faults, nowMs, deliverAtPlace: "ce-deliverat" });
  return { draft, headerText: JSON.stringify(sorted) };
}

/** CloudEvents JSON format: one object of attributes and `data`. */
function structuredDraft(text: string, { nowMs, hasher, check }: CloudEventRules): Draft {
  const value = parseJson(text, JSON_DEPTH_MAX);
  if (!isPlainObject(value)) throw failed([{ pointer: "#", detail: "must be a JSON object" }]);
  const spans = uniqueSpans(text);
  if (spans.members.has("data_base64")) {
    throw failed([{ pointer: "#/data_base64", detail: "is not taken, for events are delivered as JSON; send data" }]);
  }
  if (!spans.members.has("data")) throw failed([{ pointer: "#/data", detail: "is required; null will do" }]);
  const attributes = new Map(Object.entries(value));
  const event = cloudEventOf(attributes, hasher, (attribute) => ({ pointer: pointerTo([attribute]) }));
  const faults = placed(check(event.type, value["data"]), (path) => ({ pointer: pointerTo(path) }));
  return draftOf(event, { dataText: textOf(spans, "data", text), faults, nowMs, deliverAtPlace: "#/deliverat" });
}

function cloudEventOf(
  attributes: CloudEventAttributes,
  hasher: Hasher,
  place: (attribute: string) => Omit<FieldProblem, "detail">,
): Omit<NewEvent, "data"> {
  const parsed = parseCloudEvent(attributes, hasher);
  if (parsed.kind === "parsed") return parsed.event;
  throw failed(parsed.problems.map(({ attribute, detail }) => ({ ...place(attribute), detail })));
}

/** Refuses a member given twice, as other parsers may read another of the two. */
function uniqueSpans(text: string): ObjectSpans {
  const spans = objectSpans(text, 0);
  if (spans.duplicate === null) return spans;
  throw givenTwice([spans.duplicate]);
}

function textOf(spans: ObjectSpans, member: string, text: string): string {
  const span = spans.members.get(member);
  return span === undefined ? "null" : text.slice(span.start, span.end);
}

function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
