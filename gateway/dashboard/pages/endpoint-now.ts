/** How an endpoint does just now: the rate of its latest attempts, how many are made at once, and its breaker. */
import { html } from "hono/html";
import type * as v from "valibot";
import type { StatsView } from "../../answers/endpoints.ts";
import type { AttemptList } from "../../answers/events.ts";
import type { Markup } from "../../html/markup.ts";
import type { Tile } from "../parts.ts";
import { stateView, tilesView, timeView } from "../parts.ts";
import { countText, manyText, perTimeText, spanText } from "../words.ts";

/** Attempts count for the rate for so long. */
const RATE_MS = 5 * 60_000;

const breakers: Readonly<Record<NonNullable<StatsView["last_seen"]>["breaker"], string>> = {
  closed: "deliveries go out",
  "half-open": "a single attempt decides whether they go out again",
  open: "deliveries wait; from time to time a single attempt is made",
};

type Attempts = v.InferOutput<typeof AttemptList>;

/** `latest` is the first page of all attempts, null when another was asked for; `stats` null when they are not known. */
export function nowView(stats: StatsView | null, latest: Attempts | null, nowMs: number): Markup {
  const seen = stats?.last_seen ?? null;
  const when = stats === null ? "" : timeView(stats.last_attempt_at, nowMs);
  const tiles: readonly Tile[] = [
    ...(latest === null ? [] : [rateTile(latest, nowMs)]),
    ...(seen === null
      ? []
      : [
          {
            name: "Under way",
            figure: `${countText(seen.in_flight)} of ${countText(seen.in_flight_max)}`,
            more: html`other attempts under way when the last one ended, ${when}; ${countText(seen.in_flight_max)} may
            be at once`,
          },
          { name: "Breaker", figure: stateView(seen.breaker), more: html`${breakers[seen.breaker]}; seen ${when}` },
        ]),
  ];
  if (tiles.length === 0) return html``;
  return html`<h2>Now</h2>
    ${tilesView(tiles)}`;
}

/** Of the attempts of five minutes, or of as many as the page has when those are younger. */
function rateTile({ data, next_cursor: next }: Attempts, nowMs: number): Tile {
  const recent = data.filter(({ at }) => nowMs - Date.parse(at) <= RATE_MS);
  const isAll = recent.length < data.length || next === null;
  const oldestMs = Date.parse(recent.at(-1)?.at ?? "");
  const spanMs = isAll ? RATE_MS : Math.max(1000, nowMs - oldestMs);
  const delivered = recent.filter(({ outcome }) => outcome === "delivered").length;
  return {
    name: "Attempts",
    figure: recent.length === 0 ? "none" : perTimeText((1000 * recent.length) / spanMs),
    more: `${countText(delivered)} delivered and ${manyText(recent.length - delivered, "failure")} in ${spanText(spanMs)}`,
  };
}
