/** The append of the lanes: HIGH to its own store, all else to the log, and the ledger told at the same time. */
import type { Envelope } from "../../domain/envelope.ts";
import { laneOf } from "../../domain/envelope.ts";
import type { Lanes } from "../../ports/lanes.ts";
import { PartlyAppended } from "../../ports/lanes.ts";
import { appendParts } from "../../ports/append-parts.ts";
import type { KnownEvents } from "./known-events.ts";

export function createAppend(options: {
  readonly high: Lanes["append"];
  readonly others: Lanes["append"];
  readonly known: Pick<KnownEvents, "remember" | "rememberLater" | "forget">;
}): Lanes["append"] {
  const { high, others, known } = options;
  return async (envelopes) => {
    if (envelopes.length === 0) return;
    // At the same time; who settles an event before it is known is heard a second time (`redis/ledger/recorder.ts`).
    const remembering = known.remember(envelopes);
    try {
      await appendParts(atomicParts(envelopes), (part) => (part.some(isHigh) ? high(part) : others(part)));
    } catch (failure) {
      // What was refused must not be shown as pending. What was known before was accepted before.
      const failed = failure instanceof PartlyAppended ? failure.failures : new Map(envelopes.map((each) => [each, 0]));
      const told = await remembering;
      // Not told as far as we know, it may be known all the same.
      const ghosts = (told ?? envelopes).filter((envelope) => failed.has(envelope));
      if (ghosts.length > 0) await known.forget(ghosts);
      if (told === null) known.rememberLater(envelopes.filter((envelope) => !failed.has(envelope)));
      throw failure;
    }
    if ((await remembering) === null) known.rememberLater(envelopes);
  };
}

function isHigh(envelope: Envelope): boolean {
  return laneOf(envelope) === "high";
}

/** What one store keeps whole or not at all: of HIGH all of one tenant, for they lie in one shard. */
function atomicParts(envelopes: readonly Envelope[]): readonly (readonly Envelope[])[] {
  const others = envelopes.filter((envelope) => !isHigh(envelope));
  const high = Map.groupBy(envelopes.filter(isHigh), ({ tenant }) => tenant);
  return others.length === 0 ? [...high.values()] : [...high.values(), others];
}
