/** A data folder in which an hour has passed: what the plots of the overview show when there is something to show. */
import { createSealer, systemClock, systemEntropy, systemHasher } from "@posthaste/shared/drivers/system.ts";
import { openEmbedded } from "@posthaste/shared/drivers/embedded.ts";
import type { StatEntry } from "@posthaste/shared/ports/stats.ts";
import { createHash } from "node:crypto";
import { seededEntropy } from "../support/ambient.ts";

const MINUTE_MS = 60_000;

/** Counts alone, by the real driver; the program that opens the folder needs the same key. */
export async function liveAnHour(folder: string): Promise<{ readonly POSTHASTE_MASTER_KEY: string }> {
  const key = createHash("sha256").update("an hour").digest();
  const drivers = openEmbedded({
    clock: systemClock,
    entropy: systemEntropy,
    hasher: systemHasher,
    sealer: createSealer(key),
    database: { folder },
  });
  const { fraction } = seededEntropy(7);
  const nowMs = Math.floor(systemClock.now());
  for (let minute = 60; minute > 0; minute--) {
    const isTrouble = minute > 22 && minute < 30;
    const events = Math.round(60 + 25 * Math.sin(minute / 9) + 12 * fraction());
    drivers.stats.add(
      Array.from({ length: events }, () => entriesOf(nowMs - minute * MINUTE_MS, isTrouble, fraction)).flat(),
    );
  }
  await drivers.flush();
  await drivers[Symbol.asyncDispose]();
  return { POSTHASTE_MASTER_KEY: key.toString("base64") };
}

function entriesOf(atMs: number, isTrouble: boolean, fraction: () => number): readonly StatEntry[] {
  const lane = fraction() < 0.2 ? "high" : fraction() < 0.7 ? "medium" : "low";
  const of = { tenant: "default", lane, atMs } as const;
  const isFailed = fraction() < (isTrouble ? 0.35 : 0.02);
  const tookMs = 8 + 60 * fraction() ** 3 * (isTrouble ? 60 : 3);
  const ended = {
    ...of,
    kind: "attempt",
    endpointId: "ep_gone",
    durationMs: tookMs,
    sinceDueMs: [tookMs],
    seen: null,
  } as const;
  return [
    { ...of, kind: "accepted", type: "invoice.paid" },
    { ...ended, outcome: isFailed ? "retry" : "delivered" },
  ];
}
