/**
 * Fills the inbox: live by the tail, and from the list of events what the tail could not show, after a lost session for example.
 * What comes both ways is taken once.
 */
import type { Client, ListedEvent } from "@posthaste/client/public.ts";
import { rowsOf } from "@posthaste/client/public.ts";
import { rulesFor } from "@posthaste/shared/domain/endpoint.ts";
import { unreachable } from "@posthaste/shared/lib/assert.ts";
import { pause } from "../api/pause.ts";
import type { Watched } from "../api/watch-tail.ts";
import { watchTail } from "../api/watch-tail.ts";
import type { Surroundings } from "@posthaste/client/public.ts";
import type { Inbox } from "./inbox.ts";

/** Told as it happens. */
export type Notice =
  | { readonly event: "listening" }
  /** `events` that were accepted since the time that was asked for, and come first. */
  | { readonly event: "earlier"; readonly events: number; readonly isCut: boolean }
  | { readonly event: "session-lost"; readonly why: string }
  | { readonly event: "session-back"; readonly afterMs: number; readonly missed: number; readonly isCut: boolean }
  /** The gateway could not show some; so many were found in the list. */
  | { readonly event: "lost"; readonly count: number | null; readonly found: number; readonly isCut: boolean }
  /** Found by a second look: their gateway had not listed them yet. */
  | { readonly event: "late"; readonly events: number };

export interface ArrivalOptions {
  readonly client: Client;
  /** A type, or a prefix with `.*`; null is what an endpoint gets that names `*`. */
  readonly type: string | null;
  /** Begins with what was accepted since; null begins now. */
  readonly sinceMs: number | null;
  readonly inbox: Inbox;
  readonly surroundings: Surroundings;
  readonly signal: AbortSignal;
  readonly tell: (notice: Notice) => Promise<void>;
}

/** Of the newest; what is before them is left out, and said to be. */
export const CATCH_UP_MAX = 10_000;
/** Clocks of gateways differ, and a list may be written a little after the tail has told. */
const OVERLAP_MS = 10_000;
const SECOND_LOOK_MS = 5000;

/** Resolves when the signal aborts; rejects when the first connection fails, or the key is not good any more. */
export async function fillInbox(options: ArrivalOptions): Promise<void> {
  const { client, type, inbox, surroundings, signal, tell } = options;
  const { clock } = surroundings;
  let startMs = options.sinceMs ?? clock.now();
  let newestMs = 0;
  const takeRow = (row: Pick<ListedEvent, "tenant" | "id" | "type" | "accepted_at">): boolean => {
    newestMs = Math.max(newestMs, Date.parse(row.accepted_at));
    if (!rulesFor(row.type, row.tenant).includes(type ?? "*")) return false;
    return inbox.take({ tenant: row.tenant, id: row.id, type: row.type, acceptedAt: row.accepted_at });
  };
  const catchUp = async (): Promise<CaughtUp> => {
    const rows = await listSince(client, Math.max(startMs, newestMs - OVERLAP_MS), signal);
    return { found: rows.filter(takeRow).length, isCut: rows.length >= CATCH_UP_MAX };
  };
  const lookAgain = async (): Promise<void> => {
    await pause(clock, SECOND_LOOK_MS, signal);
    // The next loss looks again, and tells if it cannot.
    const { found } = signal.aborted ? NOTHING : await catchUp().catch(() => NOTHING);
    if (found > 0) await tell({ event: "late", events: found });
  };
  const see = async (entry: Watched): Promise<void> => {
    switch (entry.event) {
      case "watching": {
        if (options.sinceMs === null) startMs = Math.min(startMs, Date.parse(entry.data.at ?? "") || startMs);
        await tell({ event: "listening" });
        if (options.sinceMs === null) return;
        const { found, isCut } = await catchUp();
        return await tell({ event: "earlier", events: found, isCut });
      }
      case "accepted":
        return void takeRow(entry.data);
      case "attempt":
      case "delivery":
        return;
      case "lost": {
        const { found, isCut } = await catchUp();
        return await tell({ event: "lost", count: entry.data.count, found, isCut });
      }
      case "session-lost":
        return await tell(entry);
      case "session-back": {
        const { found, isCut } = await catchUp();
        void lookAgain();
        return await tell({ event: "session-back", afterMs: entry.afterMs, missed: found, isCut });
      }
      default:
        return unreachable(entry);
    }
  };
  const filter = { type: type ?? undefined };
  for await (const entry of watchTail(client, filter, { ...surroundings, signal })) await see(entry);
}

interface CaughtUp {
  readonly found: number;
  readonly isCut: boolean;
}

const NOTHING: CaughtUp = { found: 0, isCut: false };

/** Oldest first. */
async function listSince(client: Client, sinceMs: number, signal: AbortSignal): Promise<readonly ListedEvent[]> {
  const since = new Date(sinceMs);
  const rows: ListedEvent[] = [];
  for await (const row of rowsOf((cursor) => client.events.list({ since, limit: 100, cursor }, { signal }))) {
    rows.push(row);
    if (rows.length >= CATCH_UP_MAX) break;
  }
  return rows.toReversed();
}
