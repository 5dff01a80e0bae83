/**
 * What the operator is told of, as data: the one table that processors, the Prometheus rules and the dashboard are made from.
 * The figures are points to begin from; `ALERT_RULES` changes them.
 */
import * as v from "valibot";
import { repeatedMember } from "./json-span.ts";

export type Measure =
  | "age.high"
  | "age.medium"
  | "age.low"
  | "lag.high"
  | "lag.medium"
  | "lag.low"
  | "retry.growth"
  | "dead.growth"
  | "fallbacks"
  | "stores.down"
  | "loops.failed";

export interface AlertRule {
  readonly measure: Measure;
  /** Fires when the measure has been this or more for `forS`. */
  readonly firesAt: number;
  readonly forS: number;
  /** Resolves when it has been below this for `resolveForS`. At most `firesAt`. */
  readonly resolvesBelow: number;
  readonly resolveForS: number;
  readonly unit: "s" | "items" | "items/min" | "stores" | "failures/min";
  readonly severity: "critical" | "warning";
  /** What it means and where to look. */
  readonly sentence: string;
}

const MINUTE_S = 60;

export const ALERT_RULES = {
  "age-high": {
    measure: "age.high",
    firesAt: 10,
    forS: 30,
    resolvesBelow: 5,
    resolveForS: 60,
    unit: "s",
    severity: "critical",
    sentence: "The oldest HIGH event has waited for so long. Are processors alive, is Redis slow?",
  },
  "age-medium": {
    measure: "age.medium",
    firesAt: 5 * MINUTE_S,
    forS: MINUTE_S,
    resolvesBelow: 2 * MINUTE_S,
    resolveForS: 2 * MINUTE_S,
    unit: "s",
    severity: "warning",
    sentence:
      "The oldest MEDIUM event has waited for so long. Add processors, or look for one endpoint that gets most.",
  },
  "age-low": {
    measure: "age.low",
    firesAt: 15 * MINUTE_S,
    forS: MINUTE_S,
    resolvesBelow: 10 * MINUTE_S,
    resolveForS: 2 * MINUTE_S,
    unit: "s",
    severity: "warning",
    sentence: "The oldest LOW event has waited for so long. Add processors, or look for one endpoint that gets most.",
  },
  "lag-high": {
    measure: "lag.high",
    firesAt: 10_000,
    forS: 30,
    resolvesBelow: 5000,
    resolveForS: MINUTE_S,
    unit: "items",
    severity: "critical",
    sentence: "So many HIGH events wait. Publishers send more than processors deliver.",
  },
  "lag-medium": {
    measure: "lag.medium",
    firesAt: 100_000,
    forS: MINUTE_S,
    resolvesBelow: 50_000,
    resolveForS: 2 * MINUTE_S,
    unit: "items",
    severity: "warning",
    sentence: "So many MEDIUM events wait. Publishers send more than processors deliver.",
  },
  "lag-low": {
    measure: "lag.low",
    firesAt: 1_000_000,
    forS: MINUTE_S,
    resolvesBelow: 500_000,
    resolveForS: 2 * MINUTE_S,
    unit: "items",
    severity: "warning",
    sentence: "So many LOW events wait. Publishers send more than processors deliver.",
  },
  "retry-queue-growth": {
    measure: "retry.growth",
    firesAt: 1000,
    forS: 5 * MINUTE_S,
    resolvesBelow: 500,
    resolveForS: 5 * MINUTE_S,
    unit: "items/min",
    severity: "warning",
    sentence: "The retry queue grows by so much. Many endpoints fail at once: is it your own way to the network?",
  },
  "dead-letter-rate": {
    measure: "dead.growth",
    firesAt: 10,
    forS: 5 * MINUTE_S,
    resolvesBelow: 2,
    resolveForS: 5 * MINUTE_S,
    unit: "items/min",
    severity: "warning",
    sentence: "The dead letters grow by so much. GET /v1/dead-letters says whose they are and why.",
  },
  fallback: {
    measure: "fallbacks",
    firesAt: 1,
    forS: 30,
    resolvesBelow: 1,
    resolveForS: MINUTE_S,
    unit: "stores",
    severity: "critical",
    sentence:
      "A store is away or damaged and something else takes over. degraded in /readyz says which and what is refused.",
  },
  "store-down": {
    measure: "stores.down",
    firesAt: 1,
    forS: 30,
    resolvesBelow: 1,
    resolveForS: 30,
    unit: "stores",
    severity: "critical",
    sentence: "Nothing can be delivered: /readyz says why. This alert comes when it can be sent again.",
  },
  "loop-failing": {
    measure: "loops.failed",
    firesAt: 10,
    forS: 2 * MINUTE_S,
    resolvesBelow: 1,
    resolveForS: 2 * MINUTE_S,
    unit: "failures/min",
    severity: "warning",
    sentence: "Work of a processor fails again and again. The log line loop.failed says why.",
  },
} as const satisfies Record<string, AlertRule>;

export type AlertRules = Readonly<Record<string, AlertRule>>;

const Figure = v.pipe(v.number(), v.finite(), v.gtValue(0, "must be more than 0"), v.maxValue(1e9));
const Figures = v.strictObject({
  fires_at: v.optional(Figure),
  for_s: v.optional(Figure),
  resolves_below: v.optional(Figure),
  resolve_for_s: v.optional(Figure),
});

const EXAMPLE = 'must be JSON such as {"age-high":{"fires_at":30,"for_s":60,"resolves_below":10,"resolve_for_s":120}}';

/** The text of `ALERT_RULES`: other figures for some of the rules, each by its name. */
export const AlertFigures = v.pipe(
  v.string(),
  v.check(
    (text) => rulesWith(text) !== null,
    `${EXAMPLE}, with names of docs/operations.md; resolves_below is at most fires_at`,
  ),
  v.transform((text): AlertRules => rulesWith(text) ?? ALERT_RULES),
);

function rulesWith(text: string): AlertRules | null {
  const Wishes = v.pipe(v.string(), v.parseJson(), v.check(namesRulesAlone), v.record(v.string(), Figures));
  const parsed = v.safeParse(Wishes, text);
  // Of a rule or a figure that is given twice one would be dropped in silence.
  if (!parsed.success || repeatedMember(text) !== null) return null;
  const rules = Object.entries<AlertRule>(ALERT_RULES).map(([name, rule]) => {
    const wish = parsed.output[name] ?? {};
    const { fires_at: firesAt = rule.firesAt, resolves_below: resolvesBelow = rule.resolvesBelow } = wish;
    const { for_s: forS = rule.forS, resolve_for_s: resolveForS = rule.resolveForS } = wish;
    return [name, { ...rule, firesAt, forS, resolvesBelow, resolveForS }] as const;
  });
  return rules.some(([, { firesAt, resolvesBelow }]) => resolvesBelow > firesAt) ? null : Object.fromEntries(rules);
}

/** Asked before valibot is: its records pass over `__proto__`, `constructor` and `prototype` in silence, and take a list. */
function namesRulesAlone(wishes: unknown): boolean {
  if (typeof wishes !== "object" || wishes === null || Array.isArray(wishes)) return false;
  return Object.keys(wishes).every((name) => Object.hasOwn(ALERT_RULES, name));
}
