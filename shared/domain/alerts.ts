/**
 * Which alerts stand, decided by rules, measures and a clock alone. Each process looks for itself; what stands is one board
 * that all share. An alert begins when some process saw its measure at the threshold all the time of the rule, and ends when
 * no process has seen it above the lower threshold for a while: at the threshold nothing comes and goes.
 */
import * as v from "valibot";
import type { AlertRule, AlertRules, Measure } from "./alert-rules.ts";
import type { OwnEvent } from "./own-event.ts";
import { OPERATOR_TENANT, OWN_TYPES } from "./event.ts";
import { TimeMs } from "./id.ts";

const Standing = v.object({
  /** When it began, epoch ms; names it together with its rule. */
  sinceMs: TimeMs,
  /** When a process last saw it. */
  seenAtMs: TimeMs,
  /** As it began: whoever sends the alert again says the same. */
  value: v.number(),
  /** Null while it stands. */
  resolvedAtMs: v.nullable(TimeMs),
  /** Of its beginning, or of its end once that has come. */
  isSent: v.boolean(),
});
type Standing = Readonly<v.InferOutput<typeof Standing>>;
const BoardText = v.pipe(v.string(), v.parseJson(), v.record(v.string(), Standing));

/** By rule; at most one alert of each. */
export type AlertBoardState = Readonly<Record<string, Standing>>;

/** Since when, by the clock given to `look`, the measure of each rule has been at its thresholds without a break. */
export type AlertSights = ReadonlyMap<string, { readonly aboveMs: number | null; readonly belowMs: number | null }>;

/** What is not known is left out: it begins nothing and ends nothing. */
export type Measures = ReadonlyMap<Measure, number>;

/** Nobody has seen it for so many looks: it has ended, or who saw it is gone. */
const UNSEEN_LOOKS = 3;
/** What its process did not send for so many looks is sent by others. */
const UNSENT_LOOKS = 2;

/** Text that does not read back is as none. */
export function parseBoard(text: string | null): AlertBoardState {
  const parsed = v.safeParse(BoardText, text);
  return parsed.success ? parsed.output : {};
}

/** `nowMs` is of a clock that never steps. */
export function look(rules: AlertRules, sights: AlertSights, measures: Measures, nowMs: number): AlertSights {
  return new Map(
    Object.entries(rules).map(([name, { measure, firesAt, resolvesBelow }]) => {
      const value = measures.get(measure);
      const before = sights.get(name);
      const isAbove = value !== undefined && value >= firesAt;
      const isBelow = value !== undefined && value < resolvesBelow;
      return [
        name,
        { aboveMs: isAbove ? (before?.aboveMs ?? nowMs) : null, belowMs: isBelow ? (before?.belowMs ?? nowMs) : null },
      ] as const;
    }),
  );
}

export interface Looked {
  readonly rules: AlertRules;
  readonly sights: AlertSights;
  readonly measures: Measures;
  /** By the clock of `look`. */
  readonly steadyMs: number;
  /** Whole epoch ms. */
  readonly nowMs: number;
  readonly lookMs: number;
}

/** What this process makes of the board; the same object when nothing changes. */
export function nextBoard(board: AlertBoardState, looked: Looked): AlertBoardState {
  const changed = Object.entries(looked.rules).flatMap(([name, rule]) => {
    const before = board[name];
    const after = before === undefined ? beginning(name, rule, looked) : goingOn(name, rule, before, looked);
    return after === undefined || after === before ? [] : [[name, after] as const];
  });
  return changed.length === 0 ? board : { ...board, ...Object.fromEntries(changed) };
}

function beginning(name: string, rule: AlertRule, { sights, measures, steadyMs, nowMs }: Looked): Standing | undefined {
  const aboveMs = sights.get(name)?.aboveMs ?? null;
  if (aboveMs === null || steadyMs - aboveMs < rule.forS * 1000) return undefined;
  return { sinceMs: nowMs, seenAtMs: nowMs, value: measures.get(rule.measure) ?? 0, resolvedAtMs: null, isSent: false };
}

function goingOn(name: string, rule: AlertRule, before: Standing, looked: Looked): Standing {
  const { sights, measures, steadyMs, nowMs, lookMs } = looked;
  if (before.resolvedAtMs !== null) return before;
  const unseenMs = nowMs - before.seenAtMs;
  const value = measures.get(rule.measure);
  if (value !== undefined && value >= rule.resolvesBelow) {
    return unseenMs >= lookMs ? { ...before, seenAtMs: nowMs } : before;
  }
  const belowMs = sights.get(name)?.belowMs ?? null;
  const wellMs = rule.resolveForS * 1000;
  const isWell = belowMs !== null && steadyMs - belowMs >= wellMs;
  if (!isWell || unseenMs < Math.max(UNSEEN_LOOKS * lookMs, wellMs)) return before;
  return { ...before, resolvedAtMs: nowMs, isSent: false };
}

/** What is to be sent from here: what this process put on the board, and what another left unsent. */
export function unsentAlerts(board: AlertBoardState, before: AlertBoardState, looked: Looked): readonly string[] {
  const { rules, nowMs, lookMs } = looked;
  return Object.keys(rules).filter((name) => {
    const standing = board[name];
    if (standing === undefined || standing.isSent) return false;
    const isOurs = before[name]?.sinceMs !== standing.sinceMs || before[name]?.resolvedAtMs !== standing.resolvedAtMs;
    return isOurs || nowMs - (standing.resolvedAtMs ?? standing.sinceMs) >= UNSENT_LOOKS * lookMs;
  });
}

/** After the alert was sent: what has ended leaves the board. What took its place meanwhile stays. */
export function withSent(board: AlertBoardState, name: string, sent: Standing): AlertBoardState {
  const now = board[name];
  if (now?.sinceMs !== sent.sinceMs || now.resolvedAtMs !== sent.resolvedAtMs) return board;
  const { [name]: _ended, ...others } = board;
  return sent.resolvedAtMs === null ? { ...board, [name]: { ...now, isSent: true } } : others;
}

/** The beginning or the end of an alert, as an event to the operator. Whoever sends it again sends the same. */
export function alertEvent(name: string, rule: AlertRule, { sinceMs, resolvedAtMs, value }: Standing): OwnEvent {
  const { severity, sentence, unit, firesAt } = rule;
  const since = new Date(sinceMs).toISOString();
  const atMs = resolvedAtMs ?? sinceMs;
  const kind = resolvedAtMs === null ? name : "resolved";
  const more =
    resolvedAtMs === null
      ? { value, threshold: firesAt, unit, sentence }
      : { resolved_at: new Date(resolvedAtMs).toISOString() };
  return {
    tenant: OPERATOR_TENANT,
    type: `${OWN_TYPES}alert.${kind}`,
    priority: "HIGH",
    idAtMs: sinceMs,
    identity: `alert.${kind}\n${name}`,
    atMs,
    traceparent: null,
    tracestate: null,
    data: { rule: name, severity, since, ...more },
  };
}
