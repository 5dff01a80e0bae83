/**
 * Requests of one instance at the edge, whose memory is small: how many, and how large their bodies may become. A count alone; an
 * instance may stop a request without a word, so one that is older than any can be is taken for gone.
 */
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { BATCH_BYTES_MAX } from "@posthaste/shared/domain/event.ts";
import type { InboundRequest } from "@posthaste/shared/ports/inbound-request.ts";

/** At one time. */
export const UNDER_WAY_MAX = 256;
/** Of these, reads: a list may keep Redis from all else for milliseconds, and here they take no turns. */
export const READS_UNDER_WAY_MAX = 16;
/** Of declared bodies; one whose length is not declared counts as the largest that is taken. */
export const UNDER_WAY_BYTES_MAX = 32 * 1024 * 1024;
/** Longer than a request's budget and what it may write after its answer. */
const GONE_MS = 60_000;
const WITH_BODY = new Set(["POST", "PUT", "PATCH"]);

interface Entry {
  readonly startedMs: number;
  readonly bytes: number;
  readonly isRead: boolean;
}

interface UnderWayRequest extends Pick<InboundRequest, "method"> {
  readonly headers: Pick<InboundRequest["headers"], "get">;
}

export class UnderWay {
  /** Oldest first. */
  readonly #entries = new Set<Entry>();
  #bytes = 0;
  #reads = 0;

  /** Returns what ends it. Throws 503. `nowMs` by a clock that never goes back. */
  enter(request: UnderWayRequest, nowMs: number): () => void {
    for (const entry of this.#entries) {
      if (nowMs - entry.startedMs < GONE_MS) break;
      this.#leave(entry);
    }
    const bytes = bytesOf(request);
    if (this.#entries.size >= UNDER_WAY_MAX) throw full("requests");
    if (bytes > 0 && this.#bytes + bytes > UNDER_WAY_BYTES_MAX) throw full("bytes of bodies");
    const isRead = request.method === "GET" || request.method === "HEAD";
    if (isRead && this.#reads >= READS_UNDER_WAY_MAX) throw full("reads");
    const entry = { startedMs: nowMs, bytes, isRead };
    this.#entries.add(entry);
    this.#bytes += bytes;
    if (isRead) this.#reads += 1;
    return () => this.#leave(entry);
  }

  #leave(entry: Entry): void {
    if (!this.#entries.delete(entry)) return;
    this.#bytes -= entry.bytes;
    if (entry.isRead) this.#reads -= 1;
  }
}

/** Over HTTP/2 nothing but the method tells whether a body of no declared length may come. */
function bytesOf({ method, headers }: UnderWayRequest): number {
  const declared = headers.get("content-length");
  if (declared === null) return WITH_BODY.has(method) ? BATCH_BYTES_MAX : 0;
  return /^\d{1,15}$/.test(declared) ? Math.min(Number(declared), BATCH_BYTES_MAX) : BATCH_BYTES_MAX;
}

function full(what: string): PosthasteError {
  const detail = `There are too many ${what} at this place just now; send this one again as Retry-After says.`;
  return new PosthasteError("overloaded", { detail, retryAfterS: 1 });
}
