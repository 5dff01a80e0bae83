/** What one run of the benches found, kept in files: JSON for programs, and one page with plots for people. */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { html, raw } from "hono/html";
import type { Finding } from "./figures.ts";

export interface Claim {
  readonly name: string;
  /** How long it took, in s. */
  readonly seconds: number;
  readonly findings: readonly Finding[];
}

export interface Run {
  readonly command: string;
  readonly startedAt: Date;
  readonly claims: readonly Claim[];
}

/** What a figure depends on beside the code. */
function circumstances() {
  const [cpu] = cpus();
  return {
    commit: commitOf(),
    cpu: cpu?.model.trim() ?? "unknown",
    cores: cpus().length,
    memory_gib: Math.round(totalmem() / 1024 ** 3),
    system: `${process.platform} ${release()}`,
    bun: Bun.version,
  };
}

/** With `+` behind it where the tree has changes; outside a repository nobody knows. */
function commitOf(): string {
  const git = (...words: readonly string[]): string =>
    execFileSync("git", words, { cwd: import.meta.dirname, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  try {
    const isChanged = git("status", "--porcelain", "--untracked-files=no") !== "";
    return `${git("rev-parse", "--short", "HEAD").trim()}${isChanged ? "+" : ""}`;
  } catch {
    return "unknown";
  }
}

/** Writes both into a folder of the run's own below `folder`; returns its path. */
export async function writeReport(folder: string, { command, startedAt, claims }: Run): Promise<string> {
  const facts = circumstances();
  const at = startedAt.toISOString();
  const path = join(folder, `${at.slice(0, 19).replaceAll(":", "")}-${facts.commit.replace("+", "-changed")}`);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, "report.json"), `${JSON.stringify({ at, command, ...facts, claims }, null, 2)}\n`);
  writeFileSync(join(path, "report.html"), String(await page({ at, command, facts, claims })));
  for (const { name, findings } of claims) {
    const drawn = await Promise.all(findings.map((finding) => picture(finding, facts, at)));
    drawn.forEach((text, index) => {
      if (text !== null) writeFileSync(join(path, `${name}${index === 0 ? "" : `-${index + 1}`}.svg`), text);
    });
  }
  return path;
}

/** A finding's plot as a file of its own, which says where it is from; null when it has none. */
async function picture({ header, rows, plotted }: Finding, facts: Page["facts"], at: string): Promise<string | null> {
  if (plotted === undefined) return null;
  const from = html`<!-- npm run bench of ${at}, commit ${facts["commit"]}, ${facts["cores"]} cores of ${facts["cpu"]} -->`;
  return `${String(await plot(header[plotted] ?? "", rows, plotted))}\n${String(await from)}\n`;
}

type Page = Pick<Run, "command" | "claims"> & {
  readonly at: string;
  readonly facts: Readonly<Record<string, string | number>>;
};

function page({ at, command, facts, claims }: Page) {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>Posthaste: bench of ${at.slice(0, 10)}</title>
        <style>
          :root {
            color-scheme: light dark;
          }
          body {
            font:
              15px/1.5 system-ui,
              sans-serif;
            max-width: 60rem;
            margin: 2rem auto;
            padding: 0 1rem;
          }
          table {
            border-collapse: collapse;
            margin: 0.5rem 0 1rem;
          }
          th,
          td {
            padding: 0.2rem 0.8rem 0.2rem 0;
            text-align: right;
            font-variant-numeric: tabular-nums;
          }
          th:first-child,
          td:first-child {
            text-align: left;
          }
          svg {
            width: 100%;
            height: auto;
          }
        </style>
      </head>
      <body>
        <h1>What the bench found</h1>
        <p><code>${command}</code>, ${at}</p>
        <p>${Object.entries(facts).map(([name, value]) => html`${name.replace("_gib", " in GiB")}: ${value}. `)}</p>
        ${claims.map(
          ({ name, seconds, findings }) => html`
            <h2>${name}</h2>
            ${findings.map(findingPart)}
            <p>Took ${seconds} s.</p>
          `,
        )}
      </body>
    </html> `;
}

function findingPart({ title, header, rows, plotted, note }: Finding) {
  return html`
    <p>${title}</p>
    ${plotted === undefined ? "" : plot(header[plotted] ?? "", rows, plotted)}
    <table>
      <thead>
        <tr>
          ${header.map((name) => html`<th scope="col">${name}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              ${row.map((cell) => html`<td>${cell}</td>`)}
            </tr>`,
        )}
      </tbody>
    </table>
    ${note === undefined ? "" : html`<p>${note}</p>`}
  `;
}

/** As a file of its own a picture has no page around it: it follows the reader's light or dark by itself. */
const PICTURE_STYLE = raw(`text { font: 13px system-ui, sans-serif; fill: #1f2328; }
rect { fill: #3565c4; }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3; } rect { fill: #7ba5ff; } }`);

/** In units of the picture. */
const PICTURE = { width: 900, row: 26, bar: 14, left: 330, right: 90 };

/** A bar for each row, from 0 to the largest. */
function plot(name: string, rows: Finding["rows"], column: number) {
  const values = rows.map((row) => Number(row[column]));
  const most = Math.max(...values.filter(Number.isFinite), Number.MIN_VALUE);
  const { width, row, bar, left, right } = PICTURE;
  const height = (rows.length + 1) * row;
  return html`<svg
    xmlns="http://www.w3.org/2000/svg"
    viewBox="0 0 ${width} ${height}"
    role="img"
    aria-label="${name} by subject"
  >
    <style>
      ${PICTURE_STYLE}
    </style>
    <text x="${left}" y="${row / 2 + 4}">${name}</text>
    ${rows.map((cells, index) => {
      const y = (index + 1) * row;
      const value = values[index] ?? 0;
      const length = Number.isFinite(value) ? (value / most) * (width - left - right) : 0;
      return html`<text x="0" y="${y + row / 2 + 4}">${cells[0]}</text>
        <rect x="${left}" y="${y + (row - bar) / 2}" width="${length.toFixed(1)}" height="${bar}" rx="2"></rect>
        <text x="${(left + length + 8).toFixed(1)}" y="${y + row / 2 + 4}">${cells[column]}</text>`;
    })}
  </svg>`;
}
