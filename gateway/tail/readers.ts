/**
 * All readers of the tail in this process. What is heard is collected for `LINGER_MS` and then written once for all readers
 * with the same filter, so that twenty readers cost little more than one. While there is no reader, nothing is watched.
 *
 * Bounds: `READERS_MAX` readers, of which one key gets a third and one tenant a half; `HEARD_MAX` entries collected, beyond
 * which they are lost and counted; `UNREAD_BYTES_MAX` bytes of a reader, beyond which it is ended.
 */
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { Cancel } from "@posthaste/shared/lib/ambient.ts";
import { onAbort } from "@posthaste/shared/lib/on-abort.ts";
import type { Heard, TailEntry } from "@posthaste/shared/ports/tail.ts";
import type { TailEnd } from "@posthaste/shared/telemetry/tail.ts";
import type { GatewayDeps } from "../request/deps.ts";
import { refusalOf } from "../request/authenticate.ts";
import { Shares } from "../request/shares.ts";
import type { TailFilter } from "./filter.ts";
import { isWanted } from "./filter.ts";
import { endFrame, entryFrame, HEARTBEAT, lostFrame, OPENING } from "./frames.ts";
import { TailReader } from "./reader.ts";

export const READERS_MAX = 64;
/** Entries that wait to be written. */
export const HEARD_MAX = 10_000;
/** How long an entry waits for others that go with it. */
export const LINGER_MS = 100;
/** The keys of readers are looked up so often. */
export const KEYS_MS = 1000;
/** A comment is sent so often. */
export const HEARTBEAT_MS = 15_000;
const RETRY_AFTER_S = 5;
const STOPS = "This server stops; connect again.";

export interface TailReadersDeps extends Pick<GatewayDeps, "clock" | "drivers" | "telemetry"> {
  /** Aborted when the gateway stops: every stream ends, and none begins. */
  readonly stopping: AbortSignal;
}

const encoder = new TextEncoder();

export class TailReaders {
  readonly #deps: TailReadersDeps;
  readonly #readers = new Set<TailReader>();
  readonly #shares = new Shares(READERS_MAX);
  #heard: TailEntry[] = [];
  /** Of those heard; null: nobody knows. */
  #lost: number | null = 0;
  #endWatch: (() => void) | null = null;
  #lingering: Cancel | null = null;
  #ticking: Cancel | null = null;
  #endStopWatch: (() => void) | null = null;
  #isLooking = false;
  #heartbeatAtMs = 0;

  constructor(deps: TailReadersDeps) {
    this.#deps = deps;
  }

  /** Throws 429 `share-reached`, 503 `overloaded` and 503 `stopping`. */
  open(caller: ApiKey, filter: TailFilter): TailReader {
    if (this.#deps.stopping.aborted)
      throw new PosthasteError("stopping", { detail: STOPS, retryAfterS: RETRY_AFTER_S });
    const verdict = this.#shares.take(caller, 1);
    if (verdict === "full") throw full();
    if (verdict === "over-share") throw overShare();
    const reader: TailReader = new TailReader({ caller, filter, onLeave: () => this.#remove(reader, "left") });
    this.#readers.add(reader);
    this.#deps.telemetry.tail.opened();
    reader.push(encoder.encode(OPENING), 0);
    this.#watch();
    if (this.#readers.size === 1) this.#begin();
    return reader;
  }

  #begin(): void {
    const { stopping, clock } = this.#deps;
    this.#heartbeatAtMs = clock.monotonic() + HEARTBEAT_MS;
    this.#tick();
    this.#endStopWatch = onAbort(stopping, () => {
      for (const reader of this.#readers) this.#end(reader, "stopping", "stopping", STOPS);
    });
  }

  /** The tenants that are wanted may be others than before; the new watch begins before the old one ends. */
  #watch(): void {
    const endBefore = this.#endWatch;
    const tenants = new Set<string>();
    let isForAll = false;
    for (const { filter } of this.#readers) {
      if (filter.tenant === null) isForAll = true;
      else tenants.add(filter.tenant);
    }
    this.#endWatch =
      this.#readers.size === 0
        ? null
        : this.#deps.drivers.tail.watch(isForAll ? null : tenants, (heard) => this.#hear(heard));
    endBefore?.();
  }

  #hear({ entries, lost }: Heard): void {
    const room = HEARD_MAX - this.#heard.length;
    for (const entry of entries.slice(0, room)) this.#heard.push(entry);
    const lostHere = Math.max(0, entries.length - room);
    this.#lost = this.#lost === null || lost === null ? null : this.#lost + lost + lostHere;
    this.#deps.telemetry.tail.lost((lost ?? 0) + lostHere);
    this.#lingering ??= this.#deps.clock.timer(LINGER_MS, () => this.#write());
  }

  #write(): void {
    this.#lingering = null;
    const entries = this.#heard;
    const before = this.#lost === 0 ? "" : lostFrame(this.#lost);
    this.#heard = [];
    this.#lost = 0;
    const frames = new Map<TailEntry, string>();
    const textOf = (entry: TailEntry): string => {
      const known = frames.get(entry) ?? entryFrame(entry);
      frames.set(entry, known);
      return known;
    };
    const written = new Map<string, { readonly bytes: Uint8Array; readonly count: number }>();
    for (const reader of this.#readers) {
      const { filter } = reader;
      const name = JSON.stringify(filter);
      let piece = written.get(name);
      if (piece === undefined) {
        const wanted = entries.filter((entry) => isWanted(filter, entry));
        piece = { bytes: encoder.encode(before + wanted.map(textOf).join("")), count: wanted.length };
        written.set(name, piece);
      }
      if (piece.bytes.length > 0 && !reader.push(piece.bytes, piece.count)) this.#endSlow(reader, piece.count);
    }
  }

  #endSlow(reader: TailReader, count: number): void {
    const detail = "This reader took too long; what it had not read is dropped. Connect again, or narrow the filters.";
    this.#end(reader, "slow-reader", "slow-reader", detail, reader.unreadEntries + count);
  }

  /** Of a slow reader `unsent` entries are dropped; to others what waits is still sent. */
  #end(reader: TailReader, why: TailEnd, code: string, detail: string, unsent = 0): void {
    reader.end(encoder.encode(endFrame(code, detail, unsent)), { dropsUnread: why === "slow-reader" });
    this.#remove(reader, why);
  }

  #remove(reader: TailReader, why: TailEnd): void {
    if (!this.#readers.delete(reader)) return;
    this.#shares.give(reader.caller, 1);
    this.#deps.telemetry.tail.ended(why);
    this.#watch();
    if (this.#readers.size > 0) return;
    this.#endStopWatch?.();
    this.#ticking?.();
    this.#lingering?.();
    this.#lingering = null;
    this.#heard = [];
    this.#lost = 0;
  }

  #tick(): void {
    this.#ticking = this.#deps.clock.timer(KEYS_MS, () => {
      this.#tick();
      void this.#lookAtKeys();
      if (this.#deps.clock.monotonic() < this.#heartbeatAtMs) return;
      this.#heartbeatAtMs += HEARTBEAT_MS;
      for (const reader of this.#readers) if (!reader.push(encoder.encode(HEARTBEAT), 0)) this.#endSlow(reader, 0);
    });
  }

  /**
   * A key that was revoked or has expired ends its streams, and so does the end of a session that may do less. A store that is
   * away says nothing of a key.
   */
  async #lookAtKeys(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const { clock, drivers } = this.#deps;
    for (const hash of new Set([...this.#readers].map(({ caller }) => caller.hash))) {
      const key = await drivers.apiKeys.find(hash).catch(() => undefined);
      if (key === undefined) continue;
      const refusal = refusalOf(key, clock.now());
      if (refusal === null) continue;
      for (const reader of this.#readers) {
        if (reader.caller.hash === hash) this.#end(reader, "key", refusal.code, refusal.detail);
      }
    }
    for (const reader of this.#readers) {
      const refusal = refusalOf(reader.caller, clock.now());
      if (refusal !== null) this.#end(reader, "key", refusal.code, SESSION_ENDED);
    }
    this.#isLooking = false;
  }
}

const SESSION_ENDED = "Your session has ended.";

function full(): PosthasteError {
  const detail = `There are ${READERS_MAX} readers of the tail here already; end one, or try again later.`;
  return new PosthasteError("overloaded", { detail, retryAfterS: RETRY_AFTER_S });
}

function overShare(): PosthasteError {
  const detail = "This API key, or its tenant, has its share of the tail's readers; end one of them first.";
  return new PosthasteError("share-reached", { detail, retryAfterS: RETRY_AFTER_S });
}
