/** The last hour, by the minute: two plots, what they show in words, and the same numbers as a table. */
import { html } from "hono/html";
import type { Markup } from "../../html/markup.ts";
import type { Flow, FlowMinute, Within } from "../flow.ts";
import type { Column } from "../parts.ts";
import { tableView } from "../parts.ts";
import { countText, manyText, spanText } from "../words.ts";

/** For times that no plot reaches. */
const LONGEST_MS = 3_600_000;

interface Series {
  readonly name: string;
  /** A colour of the page, by the name of its variable. */
  readonly ink: string;
  /** In pixels, so that lines are told apart without colour. */
  readonly dash?: readonly number[];
  readonly values: readonly (number | null)[];
}

export function flowView({ minutes, hour }: Flow): Markup {
  const told = minutes.filter(isSomething).toReversed();
  if (told.length === 0)
    return html`<h2>The last hour</h2>
      <p class="quiet">
        Nothing was accepted, and nothing was attempted. What is published from now on appears here.
      </p>`;
  const shown = withoutTheLast(minutes);
  const counts: readonly Series[] = [
    { name: "accepted", ink: "--accent", values: shown.map(({ accepted }) => accepted) },
    { name: "delivered", ink: "--good", dash: [8, 4], values: shown.map(({ delivered }) => delivered) },
    { name: "failed", ink: "--bad", dash: [2, 3], values: shown.map(({ failed }) => failed) },
  ];
  const most = (pick: (within: Within) => number): readonly (number | null)[] =>
    shown.map(({ within }) => (within === null ? null : Math.min(pick(within), LONGEST_MS)));
  const times: readonly Series[] = [
    { name: "half within", ink: "--accent", values: most(({ halfMs }) => halfMs) },
    { name: "99 % within", ink: "--warm", dash: [8, 4], values: most(({ mostMs }) => mostMs) },
  ];
  return html`<link rel="stylesheet" href="/dashboard/plot.css" />
    <script src="/dashboard/plot.js" defer></script>
    <h2>The last hour</h2>
    <div class="plots">
      ${plotView("flow", "Events by minute", countsText(hour, minutes), { unit: "events", at: atOf(shown), series: counts })}
      ${plotView("times", "Time to a 2xx, by minute", `Of all deliveries, ${withinText(hour.within)}, from when they were due.`, { unit: "ms", at: atOf(shown), series: times })}
    </div>
    <details>
      <summary>The same as a table</summary>
      ${tableView("Events by minute, the latest first", columns, told)}
    </details>`;
}

function isSomething({ accepted, delivered, failed }: FlowMinute): boolean {
  return accepted + delivered + failed > 0;
}

/** The minute under way would look like a fall. It is shown when there is nothing before it. */
function withoutTheLast(minutes: readonly FlowMinute[]): readonly FlowMinute[] {
  const over = minutes.slice(0, -1);
  return over.some(isSomething) ? over : minutes;
}

/** In seconds, as uPlot has it. */
function atOf(minutes: readonly FlowMinute[]): readonly number[] {
  return minutes.map(({ atMs }) => atMs / 1000);
}

interface Plot {
  readonly unit: "events" | "ms";
  readonly at: readonly number[];
  readonly series: readonly Series[];
}

/** An image for those who do not see it, which the words beside it describe. The script unhides it when it draws. */
function plotView(name: string, title: string, words: string, plot: Plot): Markup {
  const id = `plot-${name}`;
  return html`<figure>
    <figcaption id="${id}"><strong>${title}</strong> ${words}</figcaption>
    <div class="plot" role="img" aria-labelledby="${id}" data-plot="${JSON.stringify(plot)}" hidden></div>
  </figure>`;
}

function countsText({ accepted, delivered, failed }: Flow["hour"], minutes: readonly FlowMinute[]): string {
  const busiest = minutes.reduce((most, each) => (each.accepted > most.accepted ? each : most));
  const peak =
    accepted === 0 ? "" : `; the busiest minute took ${countText(busiest.accepted)}, at ${clockText(busiest)}`;
  return `${countText(accepted)} accepted, ${countText(delivered)} delivered, ${manyText(failed, "attempt")} failed${peak}.`;
}

function clockText({ atMs }: FlowMinute): string {
  return `${new Date(atMs).toISOString().slice(11, 16)} UTC`;
}

export function withinText(within: Within | null): string {
  if (within === null) return "none was made";
  const { halfMs, nearlyAllMs, mostMs } = within;
  if (halfMs === mostMs) return `99 % within ${boundText(mostMs)}`;
  return `half within ${boundText(halfMs)}, 95 % within ${boundText(nearlyAllMs)}, 99 % within ${boundText(mostMs)}`;
}

function boundText(ms: number): string {
  return Number.isFinite(ms) ? spanText(ms) : "more than an hour";
}

const columns: readonly Column<FlowMinute>[] = [
  {
    name: "Minute",
    show: (minute) => html`<time datetime="${new Date(minute.atMs).toISOString()}">${clockText(minute)}</time>`,
  },
  { name: "Accepted", show: ({ accepted }) => countText(accepted) },
  { name: "Delivered", show: ({ delivered }) => countText(delivered) },
  { name: "Failed", show: ({ failed }) => countText(failed) },
  { name: "Time to a 2xx", show: ({ within }) => (within === null ? "" : withinText(within)) },
];
