/**
 * Tells the operator what is wrong with Posthaste itself: looks at the measures, takes what it sees to the board that all
 * processes share, and publishes what begins and what ends (`alerts.ts`).
 *
 * While the board cannot be read, as when its Redis is the store that is away, each process goes on by its own. Alerts that
 * begin then are named by the ten minutes in which they do, so that those of several processes have one `webhook-id`.
 */
import type { AlertRules } from "@posthaste/shared/domain/alert-rules.ts";
import type { AlertBoardState, AlertSights, Looked } from "@posthaste/shared/domain/alerts.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { AlertBoard } from "@posthaste/shared/ports/alert-board.ts";
import type { Announce } from "../announce.ts";
import type { ReadMeasures } from "./measures.ts";
import { alertEvent, look, nextBoard, parseBoard, unsentAlerts, withSent } from "@posthaste/shared/domain/alerts.ts";
import { inTime } from "@posthaste/shared/lib/in-time.ts";
import { lookRepeatedly } from "@posthaste/shared/lib/look-repeatedly.ts";

/** Between two looks: half of the shortest time of a rule, within these. */
const LOOK_MS_MIN = 1000;
const LOOK_MS_MAX = 15_000;
/** For one read or write of the board. */
const BOARD_MS = 2000;
const ALONE_MS = 10 * 60_000;
/** Others write the board, too. */
const WRITE_ROUNDS_MAX = 5;

export interface AlertWatchOptions {
  readonly rules: AlertRules;
  readonly board: AlertBoard;
  readonly readMeasures: ReadMeasures;
  readonly announce: Announce;
  readonly clock: Clock;
  readonly onFailure: (what: string, error: unknown, waitMs: number) => void;
}

export function watchAlerts(options: AlertWatchOptions): Disposable {
  const { rules, clock } = options;
  const lookMs = lookMsOf(rules);
  let sights: AlertSights = new Map();
  /** Of this process alone, while the board is away. */
  let alone: AlertBoardState | null = null;
  let known: AlertBoardState = {};

  async function lookOnce(): Promise<void> {
    const measures = await options.readMeasures();
    const steadyMs = clock.monotonic();
    sights = look(rules, sights, measures, steadyMs);
    const looked: Looked = { rules, sights, measures, steadyMs, nowMs: Math.floor(clock.now()), lookMs };
    const text = await readBoard(options);
    if (text === undefined) {
      const before = alone ?? known;
      alone = named(nextBoard(before, looked), before);
      for (const name of unsentAlerts(alone, before, looked)) alone = await send(options, alone, name);
      return;
    }
    // What began while it was away stands as well, unless another process brought it first.
    const found = parseBoard(text);
    const before = alone === null ? found : { ...alone, ...found };
    const next = nextBoard(before, looked);
    if (next !== found && !(await write(options, text, next))) return;
    alone = null;
    known = next;
    for (const name of unsentAlerts(next, found, looked)) {
      if ((await send(options, next, name)) !== next) known = await noteSent(options, next, name);
    }
  }

  return lookRepeatedly(clock, lookMs, async () => {
    await lookOnce().catch((error: unknown) => options.onFailure("alerts", error, lookMs));
    return lookMs;
  });
}

function lookMsOf(rules: AlertRules): number {
  const shortestS = Math.min(...Object.values(rules).map(({ forS, resolveForS }) => Math.min(forS, resolveForS)));
  return Math.min(Math.max((shortestS * 1000) / 2, LOOK_MS_MIN), LOOK_MS_MAX);
}

/** Undefined while it is away. */
async function readBoard({ board, clock }: AlertWatchOptions): Promise<string | null | undefined> {
  const read = await inTime(clock, BOARD_MS, board.read()).catch(() => null);
  return read?.kind === "done" ? read.value : undefined;
}

async function write({ board, clock }: AlertWatchOptions, before: string | null, next: AlertBoardState) {
  const written = await inTime(clock, BOARD_MS, board.replace(before, JSON.stringify(next)));
  return written.kind === "done" && written.value;
}

/** The state after it, or the same when it could not be sent. */
async function send(options: AlertWatchOptions, board: AlertBoardState, name: string): Promise<AlertBoardState> {
  const standing = board[name];
  const rule = options.rules[name];
  if (standing === undefined || rule === undefined) return board;
  const isSent = await options.announce([alertEvent(name, rule, standing)]);
  return isSent ? withSent(board, name, standing) : board;
}

/** What cannot be noted is sent again, by whoever looks next. */
async function noteSent(options: AlertWatchOptions, sent: AlertBoardState, name: string): Promise<AlertBoardState> {
  const standing = sent[name];
  if (standing === undefined) return sent;
  for (let round = 0; round < WRITE_ROUNDS_MAX; round++) {
    const text = await readBoard(options);
    if (text === undefined) break;
    const next = withSent(parseBoard(text), name, standing);
    if (await write(options, text, next)) return next;
  }
  return sent;
}

/** Those that this process begins alone, by their ten minutes. */
function named(next: AlertBoardState, before: AlertBoardState): AlertBoardState {
  const entries = Object.entries(next).map(([name, standing]) => {
    const isNew = before[name]?.sinceMs !== standing.sinceMs;
    return [
      name,
      isNew ? { ...standing, sinceMs: standing.sinceMs - (standing.sinceMs % ALONE_MS) } : standing,
    ] as const;
  });
  return Object.fromEntries(entries);
}
