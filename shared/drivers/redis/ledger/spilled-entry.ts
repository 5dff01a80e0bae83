/**
 * Entries that Redis did not take in time, as records of the log: the arguments of the script as one line of JSON, then the
 * packed event or nothing. Keyed by the event, so that those of one event stay in order.
 */
import * as v from "valibot";
import { DELIVERY_STATES } from "../../../domain/delivery.ts";
import { RecordedName, packEnvelope, unpackEnvelope } from "../../../domain/envelope-record.ts";
import { PublishedId, TenantName } from "../../../domain/event.ts";
import type { RedisArgument } from "../client/redis-commands.ts";
import type { PendingEntry } from "./pending-entries.ts";
import { pendingEntryOf } from "./pending-entries.ts";
import { parseJson } from "./record.ts";

export interface SpilledEntry {
  readonly tenant: string;
  readonly eventId: string;
  readonly value: Uint8Array;
}

export type Spill = (entries: readonly SpilledEntry[]) => Promise<void>;

const NEWLINE = 0x0a;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** As `entryArguments` makes them. A record may have been written by anyone. */
const Count = v.pipe(v.number(), v.finite(), v.minValue(0));
const Arguments = v.union([
  v.strictTuple([v.literal("f"), TenantName, PublishedId, Count, Count, v.string()]),
  v.strictTuple([
    v.literal("d"),
    TenantName,
    PublishedId,
    RecordedName,
    Count,
    v.picklist(DELIVERY_STATES),
    Count,
    Count,
    Count,
    v.string(),
    v.string(),
  ]),
]);

export function packEntry({ args, envelope }: PendingEntry): SpilledEntry {
  const line = encoder.encode(`${JSON.stringify(args)}\n`);
  const packed = envelope === null ? new Uint8Array() : packEnvelope(envelope);
  const value = new Uint8Array(line.length + packed.length);
  value.set(line);
  value.set(packed, line.length);
  return { tenant: String(args[1]), eventId: String(args[2]), value };
}

/** As an entry that found no event once, so that it makes its own known. Null when the bytes are not those of `packEntry`. */
export function unpackEntry(value: Uint8Array): (PendingEntry & { readonly tenant: string }) | null {
  const end = value.indexOf(NEWLINE);
  if (end < 0) return null;
  const args = v.safeParse(Arguments, parseJson(decoder.decode(value.subarray(0, end))));
  if (!args.success) return null;
  const packed = value.subarray(end + 1);
  const envelope = packed.length === 0 ? null : unpackEnvelope(packed);
  const [, tenant, eventId] = args.output;
  if (packed.length > 0 && (envelope?.tenant !== tenant || envelope.id !== eventId)) return null;
  return { ...pendingEntryOf(args.output satisfies readonly RedisArgument[], envelope), unmet: 1, tenant };
}
