/**
 * When the next attempt is made. Two forms: a list of waits, or exponential backoff. Attempt 1 follows acceptance
 * after the first wait of a list (0 in the default). Standard Webhooks 1.0.0, "Deliverability and reliability".
 */
import * as v from "valibot";
import { boundedList } from "./bounded-list.ts";
import { assert } from "../lib/assert.ts";

/** Attempts of any policy, at most. */
export const ATTEMPTS_MAX = 50;
/** The longest wait between two attempts, and the cap on a receiver's Retry-After. */
export const WAIT_S_MAX = 7 * 24 * 3600;
/** Share of a wait that chance may add or take: 20 %. */
export const JITTER = 0.2;

const Wait = v.pipe(
  v.number("must be a number of seconds"),
  v.finite("must be a finite number of seconds"),
  v.minValue(0, "must not be negative"),
  v.maxValue(WAIT_S_MAX, `must be at most ${WAIT_S_MAX} seconds`),
);

export const DelayList = v.strictObject({
  delays_s: boundedList(Wait, {
    max: ATTEMPTS_MAX,
    what: "waits",
    kind: "a list of waits in seconds",
    none: "must name at least one wait",
    words: "Wait before attempt 1, 2, ... in seconds; its length is the number of attempts.",
  }),
});

export const Backoff = v.strictObject({
  base_s: v.pipe(Wait, v.gtValue(0, "must be more than 0")),
  factor: v.pipe(
    v.number("must be a number"),
    v.minValue(1, "must be at least 1"),
    v.maxValue(10, "must be at most 10"),
  ),
  max_s: v.pipe(Wait, v.gtValue(0, "must be more than 0")),
  attempts: v.pipe(
    v.number("must be a whole number"),
    v.integer("must be a whole number"),
    v.minValue(1, "must be at least 1"),
    v.maxValue(ATTEMPTS_MAX, `must be at most ${ATTEMPTS_MAX}`),
  ),
});

export type RetryPolicy = v.InferOutput<typeof DelayList> | v.InferOutput<typeof Backoff>;

export const EitherForm = v.union(
  [DelayList, Backoff],
  'must be {"delays_s":[...]} or {"base_s","factor","max_s","attempts"}',
);
/** What names its waits is taken for a list of them, so that its faults are named. */
export const RetryPolicy = v.lazy((input): v.GenericSchema<unknown, RetryPolicy> =>
  typeof input === "object" && input !== null && "delays_s" in input ? DelayList : EitherForm,
);

/** 0 s, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h: ten attempts over three days. */
export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  delays_s: [0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400],
};

export function attemptsAllowed(policy: RetryPolicy): number {
  return "delays_s" in policy ? policy.delays_s.length : policy.attempts;
}

/** For people: `attempt 3 of 10`. A policy that was shortened meanwhile has fewer than were planned by it. */
export function attemptOfPolicy(policy: RetryPolicy, attempt: number): string {
  const count = attemptsAllowed(policy);
  return attempt <= count
    ? `attempt ${attempt} of ${count}`
    : `attempt ${attempt} (the retry schedule allows ${count} by now)`;
}

/** The same for what was made so far: `3 of 10 attempts made`. */
export function attemptsMade(policy: RetryPolicy, made: number): string {
  const count = attemptsAllowed(policy);
  return made <= count
    ? `${made} of ${count} attempts made`
    : `${made} attempts made (the retry schedule allows ${count} by now)`;
}

/** How long all waits of a policy are together, in ms, each as long as chance may make it. */
export function scheduleMsMax(policy: RetryPolicy): number {
  const longest = 1;
  const attempts = Array.from({ length: attemptsAllowed(policy) }, (_, index) => index + 1);
  return attempts.reduce((sum, attempt) => sum + (waitBeforeMs(policy, attempt, longest) ?? 0), 0);
}

/**
 * Milliseconds from the end of attempt `attempt - 1` (or from acceptance) to attempt `attempt`; null when the policy
 * allows no such attempt. `fraction` in [0, 1) spreads the wait evenly over ±20 %; a wait of 0 stays 0.
 */
export function waitBeforeMs(policy: RetryPolicy, attempt: number, fraction: number): number | null {
  if (attempt < 1 || attempt > attemptsAllowed(policy)) return null;
  const waitS = "delays_s" in policy ? (policy.delays_s[attempt - 1] ?? 0) : backoffS(policy, attempt);
  return Math.round(waitS * 1000 * (1 + JITTER * (2 * fraction - 1)));
}

function backoffS(policy: v.InferOutput<typeof Backoff>, attempt: number): number {
  if (attempt === 1) return 0;
  return Math.min(policy.max_s, policy.base_s * policy.factor ** (attempt - 2));
}

const DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"] as const;
const MONTH = `(?<month>${MONTHS.join("|")})`;
const TIME = String.raw`(?<hour>\d{2}):(?<minute>\d{2}):(?<second>\d{2})`;

/** The three forms of RFC 9110 section 5.6.7: IMF-fixdate, and those of RFC 850 and asctime, which are obsolete. */
const httpDates = [
  new RegExp(String.raw`^${DAY}, (?<day>\d{2}) ${MONTH} (?<year>\d{4}) ${TIME} GMT$`),
  new RegExp(
    String.raw`^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?<day>\d{2})-${MONTH}-(?<year>\d{2}) ${TIME} GMT$`,
  ),
  new RegExp(String.raw`^${DAY} ${MONTH} (?<day>[ \d]\d) ${TIME} (?<year>\d{4})$`),
] as const;

/**
 * `Retry-After` (RFC 9110 section 10.2.3) as ms from now: delay-seconds or an HTTP-date. Null when it is neither; a
 * date in the past is 0; more than `WAIT_S_MAX` is cut to it.
 */
export function parseRetryAfterMs(value: string | null, nowMs: number): number | null {
  if (value === null) return null;
  const text = value.trim();
  if (/^\d+$/.test(text)) return Math.min(Number(text), WAIT_S_MAX) * 1000;
  const atMs = parseHttpDateMs(text, nowMs);
  return atMs === null ? null : Math.min(Math.max(0, atMs - nowMs), WAIT_S_MAX * 1000);
}

/** Null for what is no date, such as the 30th of February. A leap second is the second after it. */
function parseHttpDateMs(text: string, nowMs: number): number | null {
  const found = httpDates.map((form) => form.exec(text)?.groups).find((groups) => groups !== undefined);
  if (found === undefined) return null;
  const { day = "", month = "", year = "", hour = "", minute = "", second = "" } = found;
  const [dayOfMonth, hours, minutes, seconds] = [day, hour, minute, second].map(Number);
  assert(
    dayOfMonth !== undefined && hours !== undefined && minutes !== undefined && seconds !== undefined,
    "four fields",
  );
  if (hours > 23 || minutes > 59 || seconds > 60) return null;
  const monthIndex = MONTHS.findIndex((name) => name === month);
  const years = year.length === 2 ? wholeYear(Number(year), nowMs) : Number(year);
  const midnight = new Date(Date.UTC(2000, monthIndex, 1));
  midnight.setUTCFullYear(years, monthIndex, dayOfMonth);
  if (midnight.getUTCMonth() !== monthIndex) return null;
  return midnight.getTime() + ((hours * 60 + minutes) * 60 + seconds) * 1000;
}

/** Two digits mean the nearest such year that is not more than 50 years ahead. */
function wholeYear(twoDigits: number, nowMs: number): number {
  const thisYear = new Date(nowMs).getUTCFullYear();
  const inThisCentury = thisYear - (thisYear % 100) + twoDigits;
  return inThisCentury > thisYear + 50 ? inThisCentury - 100 : inThisCentury;
}
