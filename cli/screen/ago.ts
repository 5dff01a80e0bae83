/** Times for people: how long ago, or how far ahead; and amounts. Pure. */

const STEPS = [
  { unit: "s", ms: 1000, below: 60_000 },
  { unit: "min", ms: 60_000, below: 3_600_000 },
  { unit: "h", ms: 3_600_000, below: 2 * 86_400_000 },
  { unit: "d", ms: 86_400_000, below: Infinity },
] as const;

/** `12 s ago`, `in 5 min`; `never` of null. */
export function ago(instant: string | null, nowMs: number): string {
  if (instant === null) return "never";
  const ms = nowMs - Date.parse(instant);
  if (Math.abs(ms) < 1000) return "now";
  return ms > 0 ? `${spanText(ms)} ago` : `in ${spanText(-ms)}`;
}

export function spanText(ms: number): string {
  const step = STEPS.find(({ below }) => ms < below) ?? STEPS[3];
  return `${Math.max(1, Math.floor(ms / step.ms))} ${step.unit}`;
}

/** With the thing it counts: `1 event`, `2,000 events`. */
export function counted(count: number, thing: string): string {
  return `${count.toLocaleString("en")} ${thing}${count === 1 ? "" : "s"}`;
}
