/**
 * What is typed about retries, limit, batches and headers, as the API takes it; and which field a problem of the API is about. Nothing is
 * checked here: what is no number goes to the API as it was typed, which says what is wrong with it.
 */
import type { Problem } from "@posthaste/shared/domain/problem.ts";
import { DEFAULT_RETRY_POLICY } from "@posthaste/shared/domain/retry-policy.ts";
import type { EndpointView } from "../../answers/endpoints.ts";
import type { Form } from "../form.ts";
import { fieldOf } from "../form.ts";

type Values = Readonly<Record<string, string>>;

/** By form field: what the pointers of the API name. */
const PLACES: Readonly<Record<string, string>> = {
  retry: "retry_form",
  "retry/delays_s": "retry_delays",
  "retry/base_s": "retry_base",
  "retry/factor": "retry_factor",
  "retry/max_s": "retry_max",
  "retry/attempts": "retry_attempts",
  rate_limit: "rate_limit",
  "rate_limit/limit": "rate_limit",
  "rate_limit/window_ms": "rate_window",
  batch: "batch_events",
  "batch/max_events": "batch_events",
  "batch/max_wait_ms": "batch_wait",
};
export const SETTING_FIELDS: readonly string[] = [...new Set(Object.values(PLACES))];

/** As the form shows them. */
export function settingValues({ retry, rate_limit: limit, batch }: EndpointView): Values {
  const isDefault = JSON.stringify(retry) === JSON.stringify(DEFAULT_RETRY_POLICY);
  const retries: Values =
    "delays_s" in retry
      ? { retry_form: isDefault ? "default" : "list", retry_delays: retry.delays_s.map(secondsText).join(", ") }
      : {
          retry_form: "backoff",
          retry_base: secondsText(retry.base_s),
          retry_factor: String(retry.factor),
          retry_max: secondsText(retry.max_s),
          retry_attempts: String(retry.attempts),
        };
  return {
    ...retries,
    ...(limit === null ? {} : { rate_limit: String(limit.limit), rate_window: secondsText(limit.window_ms / 1000) }),
    ...(batch === null
      ? {}
      : { batch_events: String(batch.max_events), batch_wait: secondsText(batch.max_wait_ms / 1000) }),
  };
}

/** Of the fields that the form has; those of another page are not changed by this one. */
export function settingsTyped(form: Form): Readonly<Record<string, unknown>> {
  const has = (...names: readonly string[]): boolean => names.every((name) => form.has(name));
  const typed = (name: string): string => fieldOf(form, name);
  const pair = (first: string, second: string, value: () => object): object | null =>
    typed(first) === "" && typed(second) === "" ? null : value();
  return {
    ...(has("retry_form") ? { retry: retryTyped(typed) } : {}),
    ...(has("rate_limit", "rate_window")
      ? {
          rate_limit: pair("rate_limit", "rate_window", () => ({
            limit: numberTyped(typed("rate_limit")),
            window_ms: msTyped(typed("rate_window")),
          })),
        }
      : {}),
    ...(has("batch_events", "batch_wait")
      ? {
          batch: pair("batch_events", "batch_wait", () => ({
            max_events: numberTyped(typed("batch_events")),
            max_wait_ms: msTyped(typed("batch_wait")),
          })),
        }
      : {}),
  };
}

function retryTyped(typed: (name: string) => string): object | null {
  switch (typed("retry_form")) {
    case "list": {
      const delays = typed("retry_delays")
        .split(/[,;]/)
        .map((delay) => delay.trim());
      return { delays_s: delays.filter((delay) => delay !== "").map(secondsTyped) };
    }
    case "backoff":
      return {
        base_s: secondsTyped(typed("retry_base")),
        factor: numberTyped(typed("retry_factor")),
        max_s: secondsTyped(typed("retry_max")),
        attempts: numberTyped(typed("retry_attempts")),
      };
    default:
      return null;
  }
}

/** The problem with its faults at the fields of the form; `headerAt` says which row a header's name is in. */
export function problemAtFields(problem: Problem, headerAt: (name: string) => string | null): Problem {
  const errors = problem.errors?.map((error) => {
    const [first = "", second = "", third] = stepsOf(error.pointer ?? "");
    if (first === "headers") {
      const place = headerAt(second);
      return place === null ? error : { detail: error.detail, parameter: place };
    }
    const parameter = PLACES[second === "" ? first : `${first}/${second}`];
    if (parameter === undefined) return error;
    const detail = third === undefined ? error.detail : `(number ${Number(third) + 1} of them) ${error.detail}`;
    return { detail, parameter };
  });
  return errors === undefined ? problem : { ...problem, errors };
}

/** RFC 6901 section 6. */
function stepsOf(pointer: string): readonly string[] {
  const steps = pointer.replace(/^#?\/?/, "").split("/");
  return steps.map((step) => decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~"));
}

const UNITS_S: Readonly<Record<string, number>> = { ms: 0.001, s: 1, min: 60, m: 60, h: 3600, d: 86_400, days: 86_400 };

/** `5 min` and `300` are one. */
function secondsTyped(text: string): number | string {
  const [, number = "", unit = "s"] = /^(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d|days)?$/.exec(text.toLowerCase()) ?? [];
  return number === "" ? text : Number(number) * (UNITS_S[unit] ?? 1);
}

function msTyped(text: string): number | string {
  const seconds = secondsTyped(text);
  return typeof seconds === "string" ? seconds : Math.round(seconds * 1e6) / 1e3;
}

function numberTyped(text: string): number | string {
  return /^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : text;
}

/** The same number when it is read again. */
function secondsText(seconds: number): string {
  if (seconds === 0) return "0 s";
  const whole = (["d", "h", "min", "s"] as const).find((unit) => Number.isInteger(seconds / (UNITS_S[unit] ?? 1)));
  return whole === undefined ? `${seconds} s` : `${seconds / (UNITS_S[whole] ?? 1)} ${whole}`;
}
