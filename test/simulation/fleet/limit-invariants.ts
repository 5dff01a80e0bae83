/**
 * Rate limits over the virtual clock. A request was granted some time between its arrival and its answer, so those that lie
 * in a window with both are no more than were granted in it:
 *
 * - in all, at most the limit, and the share of each process that decided by itself in that window;
 * - of one gateway while Redis is away, at most its share, what Redis granted it before included.
 */
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { Door } from "../api-client.ts";
import type { Slot } from "../model.ts";
import type { Trace } from "../trace.ts";
import type { Send } from "../virtual-network.ts";
import type { Disruptions } from "./disruptions.ts";
import type { FleetProcess } from "./fleet-process.ts";
import type { LimitedKey } from "./limited-keys.ts";

export interface LimitInvariants {
  /** The process as the key's publishers reach it: what it answers them is counted. */
  doorOf(key: LimitedKey, process: FleetProcess): Door;
  /** A process decided without Redis. */
  noteLocal(processIndex: number): void;
  /** Redis forgot what it had granted. */
  noteEmptied(): void;
  /** An attempt leaves for an endpoint that may have a limit. */
  checkSend(send: Send, slot: Slot): void;
}

interface Answered {
  readonly keyIndex: number;
  readonly processIndex: number;
  readonly arrivedMs: number;
  readonly units: number;
}

/** A grant may be older than its attempt by the wait for a slot: each process keeps one at most. */
const GRANTS_KEPT = 1;
/** And by the way of Redis's answer. */
const ANSWER_MS = 10;

export function createLimitInvariants(world: {
  readonly clock: Pick<Clock, "now">;
  readonly trace: Trace;
  readonly gateways: number;
  readonly network: () => { sends(): readonly Send[] };
  readonly disruptions: Disruptions;
  /** Since when Redis is away; null while it is not. */
  readonly redisAwaySinceMs: () => number | null;
}): LimitInvariants {
  const { clock, trace } = world;
  const answers: Answered[] = [];
  const locals: { readonly processIndex: number; readonly atMs: number }[] = [];
  const emptiedAtMs: number[] = [];

  function check({ index, rate }: LimitedKey, answered: Answered): void {
    const { limit, windowMs, failureMode } = rate;
    const nowMs = clock.now();
    const sinceMs = nowMs - windowMs;
    const own = answers.filter(({ keyIndex, arrivedMs }) => keyIndex === index && arrivedMs > sinceMs);
    const share = Math.max(1, Math.floor(limit / world.gateways));
    const deciding = new Set(locals.filter(({ atMs }) => atMs > sinceMs).map(({ processIndex }) => processIndex));
    const where = `key ${index} (${limit} in ${windowMs} ms, ${failureMode})`;
    if (failureMode !== "open" || deciding.size === 0) {
      const forgotten = emptiedAtMs.filter((atMs) => atMs > sinceMs).length;
      const most = limit * (1 + forgotten) + (failureMode === "local" ? share * deciding.size : 0);
      if (unitsOf(own) > most) trace.violation("rate limits", `${where} was granted ${unitsOf(own)}, at most ${most}`);
    }
    const awaySinceMs = world.redisAwaySinceMs();
    if (awaySinceMs === null || answered.arrivedMs <= awaySinceMs || failureMode === "open") return;
    const most = failureMode === "closed" ? 0 : share;
    const alone = unitsOf(own.filter(({ processIndex }) => processIndex === answered.processIndex));
    if (alone > most)
      trace.violation("rate limits", `p${answered.processIndex} alone granted ${where} ${alone}, at most ${most}`);
  }

  return {
    doorOf: (key, process) => ({
      isAlive: process.isAlive,
      onEnd: process.onEnd,
      async fetch(request) {
        const arrivedMs = clock.now();
        const response = await process.fetch(request);
        const units = await grantedIn(response);
        if (units === 0 || !process.isAlive()) return response;
        const answered = { keyIndex: key.index, processIndex: process.index, arrivedMs, units };
        answers.push(answered);
        check(key, answered);
        return response;
      },
    }),
    noteLocal: (processIndex) => void locals.push({ processIndex, atMs: clock.now() }),
    noteEmptied: () => void emptiedAtMs.push(clock.now()),
    checkSend(send, slot) {
      const rate = slot.rateLimit;
      if (rate === null) return;
      const sinceMs = send.sentAtMs - rate.window_ms + ANSWER_MS;
      // A repeat is noted before its attempt, so it may leave long after its grant.
      if (!world.disruptions.wasQuiet(sinceMs, send.sentAtMs)) return;
      const recent = world
        .network()
        .sends()
        .filter(({ url, sentAtMs }) => url === send.url && sentAtMs > sinceMs);
      const processes = new Set(recent.map(({ processIndex }) => processIndex)).size;
      const most = rate.limit + GRANTS_KEPT * processes;
      if (recent.length > most)
        trace.violation(
          "rate limits",
          `#${send.index} is attempt ${recent.length} in ${rate.window_ms} ms, at most ${most}`,
        );
    },
  };
}

function unitsOf(answers: readonly Answered[]): number {
  return answers.reduce((sum, { units }) => sum + units, 0);
}

/** Of a batch, what was stored; the rest is given back. */
async function grantedIn(response: Response): Promise<number> {
  if (response.status < 200 || response.status > 299) return 0;
  if (response.status !== 200) return 1;
  const told = JSON.parse(await response.clone().text()) as { readonly data?: readonly { readonly status?: number }[] };
  return told.data?.filter(({ status }) => status === 202).length ?? 1;
}
