/**
 * Requests of one instance at the edge, whose memory is small: how many, and how large their bodies may become. A count alone; an
 * instance may stop a request without a word, so one that is older than any can be is taken for gone.
 */
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { BATCH_BYTES_MAX } from "@posthaste/shared/domain/event.ts";
import type { InboundHeaders } from "@posthaste/shared/ports/inbound-request.ts";

/** At one time. */
export const UNDER_WAY_MAX = 256;
/** Of declared bodies; one whose length is not declared counts as the largest that is taken. */
export const UNDER_WAY_BYTES_MAX = 32 * 1024 * 1024;
/** Longer than a request's budget and what it may write after its answer. */
const GONE_MS = 60_000;

interface Entry {
  readonly startedMs: number;
  readonly bytes: number;
}

export class UnderWay {
  /** Oldest first. */
  readonly #entries = new Set<Entry>();
  #bytes = 0;

  /** Returns what ends it. Throws 503. `nowMs` by a clock that never goes back. */
  enter({ headers }: { readonly headers: Pick<InboundHeaders, "get"> }, nowMs: number): () => void {
    for (const entry of this.#entries) {
      if (nowMs - entry.startedMs < GONE_MS) break;
      this.#leave(entry);
    }
    const bytes = bytesOf(headers);
    if (this.#entries.size >= UNDER_WAY_MAX) throw full("requests");
    if (bytes > 0 && this.#bytes + bytes > UNDER_WAY_BYTES_MAX) throw full("bytes of bodies");
    const entry = { startedMs: nowMs, bytes };
    this.#entries.add(entry);
    this.#bytes += bytes;
    return () => this.#leave(entry);
  }

  #leave(entry: Entry): void {
    if (this.#entries.delete(entry)) this.#bytes -= entry.bytes;
  }
}

function bytesOf(headers: Pick<InboundHeaders, "get">): number {
  const declared = headers.get("content-length");
  if (declared === null) return headers.get("transfer-encoding") === null ? 0 : BATCH_BYTES_MAX;
  return /^\d{1,15}$/.test(declared) ? Math.min(Number(declared), BATCH_BYTES_MAX) : BATCH_BYTES_MAX;
}

function full(what: string): PosthasteError {
  const detail = `There are too many ${what} at this place just now; send this one again as Retry-After says.`;
  return new PosthasteError("overloaded", { detail, retryAfterS: 1 });
}
