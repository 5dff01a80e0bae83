/** The table of a run: a row for each scenario, and what was not good below it. */
import type { Result } from "./result.ts";

interface Column {
  readonly title: string;
  readonly cell: (result: Result) => string;
}

const whole = (value: number): string => String(Math.round(value));

const columns: readonly Column[] = [
  { title: "scenario", cell: ({ scenario }) => scenario },
  { title: "sent", cell: ({ answers }) => whole(answers.sent) },
  { title: "accepted", cell: ({ accepted }) => whole(accepted) },
  { title: "5xx H/M/L", cell: ({ answers: { refused } }) => `${refused.HIGH}/${refused.MEDIUM}/${refused.LOW}` },
  { title: "cut", cell: ({ answers }) => whole(answers.broken) },
  { title: "delivered", cell: ({ delivered }) => whole(delivered) },
  { title: "dead", cell: ({ dead }) => whole(dead) },
  { title: "planned", cell: ({ planned }) => whole(planned) },
  { title: "lost", cell: ({ lost }) => whole(lost) },
  { title: "by store", cell: ({ lostByStore }) => whole(lostByStore) },
  { title: "twice", cell: ({ duplicates }) => whole(duplicates) },
  { title: "unasked", cell: ({ unasked }) => whole(unasked) },
  { title: "unshown", cell: ({ unshown }) => `${unshown.unshown}/${unshown.of}` },
  { title: "p99 ms", cell: ({ answers }) => whole(answers.latencyMsP99) },
  { title: "stall ms", cell: ({ stallMs }) => whole(stallMs) },
  { title: "HIGH's", cell: ({ highStallMs }) => whole(highStallMs) },
  { title: "recovery ms", cell: ({ recoveryMs }) => (recoveryMs === null ? "never" : whole(recoveryMs)) },
  { title: "after ms", cell: ({ afterMs }) => (afterMs === null ? "never" : whole(afterMs)) },
  { title: "gw MiB", cell: ({ memory }) => whole(memory.gatewayMiB) },
  { title: "pr MiB", cell: ({ memory }) => whole(memory.processorMiB) },
  { title: "redis MiB", cell: ({ memory }) => whole(memory.redisMiB) },
];

export const LEGEND = `5xx: refused, of HIGH/MEDIUM/LOW. cut: no answer. by store: lost by Redis or Kafka themselves. unasked: delivered, though never
answered 202. unshown: of a sample of the delivered, not shown so by the API. p99: of 202s from the fault's second second on.
stall: longest time without a delivery while one is owed. recovery: from the fault's end until all accepted before it is settled.
after: the longest that anything accepted after the fault's end waited.`;

export function tableOf(results: readonly Result[]): string {
  const cells = [
    columns.map(({ title }) => title),
    ...results.map((result) => columns.map(({ cell }) => cell(result))),
  ];
  const widths = columns.map((_, at) => Math.max(...cells.map((row) => row[at]?.length ?? 0)));
  return cells
    .map((row) =>
      row.map((text, at) => (at === 0 ? text.padEnd(widths[0] ?? 0) : text.padStart(widths[at] ?? 0))).join("  "),
    )
    .join("\n");
}

/** What refusals said. */
export function reasonsIn(results: readonly Result[]): readonly string[] {
  return results.flatMap(({ scenario, answers }) =>
    Object.entries(answers.reasons).map(([reason, count]) => `${scenario}: ${count} x ${reason}`),
  );
}

export function problemsIn(results: readonly Result[]): readonly string[] {
  return results.flatMap(({ scenario, problems }) => problems.map((problem) => `${scenario}: ${problem}`));
}
