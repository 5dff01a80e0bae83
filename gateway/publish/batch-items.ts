/** Parses a batch, `{"events":[...]}`, into items. Each is valid or refused by itself. */
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import type { FieldProblem } from "@posthaste/shared/domain/errors.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { BATCH_EVENTS_MAX, EVENT_BYTES_MAX } from "@posthaste/shared/domain/event.ts";
import { shellOf } from "@posthaste/shared/domain/json-shell.ts";
import { JSON_DEPTH_MAX, objectSpans, scanSizes } from "@posthaste/shared/domain/json-span.ts";
import type { CheckType, Draft } from "./draft.ts";
import type { InTurn } from "../request/handle.ts";
import { brokenJson, parseJson, requireDepth } from "../request/body.ts";
import { itemDraft } from "./draft.ts";
import { resolveTenant } from "../request/tenancy.ts";
import { failed, givenTwice, pointerTo } from "../request/validation.ts";

export type BatchItem =
  | { readonly kind: "refused"; readonly error: PosthasteError }
  | { readonly kind: "readable"; readonly draft: Draft; readonly tenant: string };

/** An item may be nested as deep as a single event; the list and the object around it add two. */
const BATCH_DEPTH_MAX = JSON_DEPTH_MAX + 2;

/** Most members of the whole, and most items, that are looked at; the one member that is known is `events`. */
const SIZES_MAX = [20, BATCH_EVENTS_MAX] as const;

/** What stands around the items: `{"events":[]}` with its commas and some white space. */
const SHELL_LENGTH_MAX = 16 * 1024;

/**
 * The items' texts, 1 to `BATCH_EVENTS_MAX`. Throws for a batch that is wrong as a whole; whether each item is JSON is left
 * to `readItems`, since to parse megabytes at once would keep everybody else waiting.
 */
export function batchTexts(text: string): readonly string[] {
  const isTooMany = failed([
    { pointer: "#", detail: `must be {"events":[...]} with at most ${BATCH_EVENTS_MAX} events` },
  ]);
  if (!scanSizes(text, SIZES_MAX)) throw isTooMany;
  requireDepth(text, BATCH_DEPTH_MAX);
  const parted = shellOf(text);
  if (parted === null) throw brokenJson(text);
  const { shell, items } = parted;
  if (shell.length > SHELL_LENGTH_MAX) throw isTooMany;
  const value = parseJson(shell, BATCH_DEPTH_MAX);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw failed([{ pointer: "#", detail: 'must be an object: {"events":[...]}' }]);
  }
  const { members, duplicate } = objectSpans(shell, 0);
  if (duplicate !== null) throw givenTwice([duplicate]);
  const unknown = [...members.keys()].filter((name) => name !== "events");
  if (unknown.length > 0) {
    throw failed(
      unknown.map((name) => ({ pointer: pointerTo([name]), detail: "is not a field here; the one field is events" })),
    );
  }
  const span = members.get("events");
  const events = span === undefined ? undefined : items.get(span.start);
  if (events === undefined) {
    throw failed([{ pointer: "#/events", detail: `must be a list of 1 to ${BATCH_EVENTS_MAX} events` }]);
  }
  if (events.length === 0) throw failed([{ pointer: "#/events", detail: "must have at least one event" }]);
  return events.map(({ start, end }) => text.slice(start, end));
}

interface ItemContext {
  readonly caller: ApiKey;
  readonly queryTenant: string | null;
  readonly nowMs: number;
  readonly check: CheckType;
}

/** Others find their turn in between, whatever an item costs to read and to hold against its schema. Throws `invalid-json` for an item that is no JSON: then the whole is none. */
export async function readItems(
  texts: readonly string[],
  context: ItemContext,
  inTurn: InTurn,
): Promise<readonly BatchItem[]> {
  const items: BatchItem[] = [];
  const readSome = (hasTime: () => boolean): void => {
    for (const text of texts.slice(items.length)) {
      items.push(readItem(text, items.length, context));
      if (!hasTime()) return;
    }
  };
  while (items.length < texts.length) await inTurn(readSome);
  return items;
}

function readItem(text: string, index: number, context: ItemContext): BatchItem {
  let isJson = false;
  try {
    requireSmall(text);
    const value = parseJson(text, JSON_DEPTH_MAX);
    isJson = true;
    const draft = itemDraft(value, text, context);
    // One with an id of its own may be a repeat of what was accepted: its claim tells.
    if (draft.faults.length > 0 && draft.id === null) throw failed(draft.faults);
    return { kind: "readable", draft, tenant: resolveTenant(context.caller, draft.tenant, context.queryTenant) };
  } catch (thrown) {
    if (!(thrown instanceof PosthasteError) || (!isJson && thrown.code === "invalid-json")) throw thrown;
    return { kind: "refused", error: atItem(thrown, index) };
  }
}

/** Rewrites the pointers of an item's problems so that they start at the whole body. */
export function atItem(error: PosthasteError, index: number): PosthasteError {
  const errors = error.details.errors?.map((problem): FieldProblem => {
    const { pointer } = problem;
    return pointer === undefined ? problem : { ...problem, pointer: `#/events/${index}${pointer.slice(1)}` };
  });
  return new PosthasteError(error.code, { ...error.details, ...(errors === undefined ? {} : { errors }) });
}

const encoder = new TextEncoder();

function requireSmall(text: string): void {
  // A UTF-16 unit is one to three bytes of UTF-8, so most items need no count.
  if (text.length * 3 <= EVENT_BYTES_MAX) return;
  if (text.length <= EVENT_BYTES_MAX && encoder.encode(text).length <= EVENT_BYTES_MAX) return;
  throw new PosthasteError("body-too-large", `Each event may have at most ${EVENT_BYTES_MAX} bytes.`);
}
