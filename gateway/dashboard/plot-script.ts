/**
 * What draws the plots of the overview, as it is served: uPlot, whole and from here, and what we ask of it. A place with `data-plot`
 * has its numbers as JSON. Without it the words and the table beside each plot say the same.
 */

interface Library {
  readonly script: string;
  readonly style: string;
  readonly license: string;
}

export function plotScript({ script, license }: Library): string {
  return `${notice(license)}${script}\n${DRAW}`;
}

export function plotStyle({ style, license }: Library): string {
  return `${notice(license)}${style}\n${STYLE}`;
}

function notice(license: string): string {
  return `/* uPlot\n${license.trim()}\n*/\n`;
}

const STYLE = `.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); gap: 1rem; margin: 0.5rem 0 0.75rem; }
.plots figure { margin: 0; padding: 0.75rem 1rem; border: 1px solid var(--line); border-radius: 8px; min-width: 0; overflow: hidden; }
.plots figcaption { font-size: 0.8125rem; color: var(--quiet); }
.plots figcaption strong { display: block; font-size: 0.875rem; color: var(--text); }
.plots + details { margin: 0 0 1.25rem; }
.plot { margin: 0.5rem 0 0; min-width: 0; }
.uplot { font-family: system-ui, sans-serif; }
.u-legend { font-size: 0.75rem; font-weight: 400; text-align: left; color: var(--text); width: 100%; }
.u-legend .u-series { display: inline-block; border: 0; padding: 0; margin: 0 0.875rem 0 0; }
.u-legend .u-series > * { display: inline-block; min-height: 0; }
.u-legend .u-series > *::before { content: none; }
.u-legend th { font-weight: 400; }
.u-legend td { font-weight: 600; }
.u-legend .u-series th, .u-legend .u-series td { border: 0; padding: 0.0625rem 0.125rem; font-variant-numeric: tabular-nums; }
.u-legend .u-marker { width: 1.125rem; height: 0; margin-right: 0.3125rem; border-width: 2px 0 0 !important; }
.u-hz .u-cursor-x { border-right-color: var(--field); }
`;

const DRAW = `(() => {
"use strict";
const HEIGHT = 190;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const clock = (s) => new Date(s * 1000).toISOString().slice(11, 16);
const count = (n) => n.toLocaleString("en");
const span = (ms) => ms < 1000 ? ms + " ms" : ms < 60000 ? Number((ms / 1000).toFixed(1)) + " s" : ms < 3600000 ? Math.round(ms / 60000) + " min" : Math.round(ms / 3600000) + " h";
const said = (words) => (_plot, value) => value === null || value === undefined ? "\\u2013" : words(value);

const scaleOf = (unit) => unit === "ms"
  ? { distr: 3, range: (_plot, least, most) => least === null ? [1, 1000] : [10 ** Math.floor(Math.log10(least)), 10 ** (Math.floor(Math.log10(most)) + 1)] }
  : { range: (_plot, _least, most) => [0, Math.max(4, most * 1.1)] };

const tens = (_plot, ticks) => ticks.map((n) => Number.isInteger(Math.log10(n)) ? n : null);

const lineOf = (dash) => !dash ? "solid" : dash[0] < 4 ? "dotted" : "dashed";

const draw = (place) => {
  const { unit, at, series } = JSON.parse(place.dataset.plot);
  const words = unit === "ms" ? span : count;
  place.hidden = false;
  let plot = null;
  const make = () => {
    if (plot) plot.destroy();
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    plot = new uPlot({
      width: place.clientWidth,
      height: HEIGHT,
      tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "Etc/UTC"),
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      legend: { markers: { width: 2, stroke: (_plot, index) => colour(series[index - 1].ink), fill: "transparent", dash: (_plot, index) => lineOf(series[index - 1].dash) } },
      scales: { y: scaleOf(unit) },
      axes: [
        { ...axis, values: (_plot, ticks) => ticks.map(clock), space: 70, size: 26 },
        { ...axis, ...(unit === "ms" ? { filter: tens, grid: { ...axis.grid, filter: tens } } : {}), values: (_plot, ticks) => ticks.map((n) => n === null ? null : words(n)), size: unit === "ms" ? 56 : 46, space: 32, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6] },
      ],
      series: [
        { label: "UTC", value: said(clock) },
        ...series.map(({ name, ink, dash }) => ({ label: name, value: said(words), stroke: colour(ink), width: 2, dash, points: { size: 4, fill: colour(ink), show: unit === "ms" } })),
      ],
    }, [at, ...series.map(({ values }) => values)], place);
  };
  make();
  new ResizeObserver(() => { if (place.clientWidth !== plot.width) plot.setSize({ width: place.clientWidth, height: HEIGHT }); }).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", make);
};
for (const place of document.querySelectorAll("[data-plot]")) draw(place);
})();
`;
