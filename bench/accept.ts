/**
 * Durable accept against its ceiling: the same load on bare Hono that validates and answers 202, and on the gateway that
 * answers after the event is on disk. Interleaved rounds in one run; the ratio of medians is the figure.
 */
import type { Figures, Finding } from "./figures.ts";
import { figuresFinding, figuresRow, medianFigures } from "./figures.ts";
import { postEvents, requireWrk } from "./load.ts";
import { startSubject } from "./subject-process.ts";

const SUBJECTS = [
  { name: "bare Hono, validates, 202", file: "bare-hono.ts", environment: {} },
  { name: "gateway, durable (fsync before 202)", file: "gateway.ts", environment: {} },
  { name: "gateway + processor, durable", file: "gateway.ts", environment: { PROCESSOR: "1" } },
];

export async function benchAccept({ rounds, seconds }: { rounds: number; seconds: number }): Promise<Finding[]> {
  requireWrk();
  const results = SUBJECTS.map((): Figures[] => []);
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, { file, environment }] of SUBJECTS.entries()) {
      results[index]?.push(await runSubject(file, environment, seconds));
    }
  }
  const medians = results.map((rows) => medianFigures(rows));
  const [ceiling] = medians;
  if (ceiling === undefined) throw new Error("no rounds");
  const rows = SUBJECTS.map(({ name }, index) => figuresRow(name, medians[index] ?? ceiling, ceiling));
  const title = `accept: ${rounds} interleaved rounds of ${seconds} s, 1 KB events, 256 connections (wrk), medians`;
  return [figuresFinding(title, rows)];
}

export async function runSubject(
  file: string,
  environment: Readonly<Record<string, string>>,
  seconds: number,
): Promise<Figures> {
  await using subject = await startSubject(file, environment);
  const port = Number(subject.hello["port"]);
  await postEvents(port, 1); // Warms the compiler, not measured.
  const before = subject.usage();
  const load = await postEvents(port, seconds);
  const after = subject.usage();
  return { ...load, cpuUs: (after.cpuUs - before.cpuUs) / load.count, rssMiB: after.rssMiB };
}
