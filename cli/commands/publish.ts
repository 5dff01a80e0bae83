/** `posthaste publish`: one event from its words, or many from a file. */
import { createReadStream, statSync } from "node:fs";
import type { BatchResult } from "@posthaste/client/public.ts";
import type { Calls } from "../api/call-command.ts";
import { defineCall } from "../api/call-command.ts";
import { inShort } from "../api/explain.ts";
import { openProgress } from "../screen/progress.ts";
import type { EventBatch } from "../publish-lines.ts";
import { eventBatches } from "../publish-lines.ts";
import { counted } from "../screen/ago.ts";
import type { Command } from "../words/command.ts";
import { choice, text, time, WrongWords } from "../words/option.ts";

/** Refused events that are told one by one; of the others the count. */
const TOLD_MAX = 20;
/** Larger than any event. */
const STDIN_LENGTH_MAX = 1024 * 1024;

interface OneWish {
  readonly type: string;
  readonly dataText: string;
  readonly priority: string | undefined;
  readonly id: string | undefined;
  readonly deliverAt: string | undefined;
  readonly idempotencyKey: string | undefined;
}

const one = defineCall({
  name: "publish",
  summary: "publishes one event, or many from a file with one JSON event a line",
  about:
    'Numbers keep all their digits: data is sent as the text it is. In a file each line is an event as the API takes it, {"type":"invoice.paid","data":{...}} with id, priority, deliver_at and the rest where wanted. A file goes in batches of up to 1,000 events; what is refused is told with its line, and the rest is taken. Give each event an id of your own where the file may be published again: the same event is then taken once.',
  operands: [{ name: "TYPE", summary: "the event's type, such as invoice.paid", isOptional: true }],
  options: {
    data: text("JSON", "the event's data; - reads it from stdin (null)"),
    file: text("FILE", "many events, one JSON object a line; - reads stdin"),
    priority: choice(["HIGH", "MEDIUM", "LOW"], "PRIORITY", "how urgent it is (MEDIUM)"),
    id: text("ID", "an id of your own: the same event published twice is one"),
    "deliver-at": time("not before it: a time, or a span such as 2h from now", "ahead"),
    "idempotency-key": text("KEY", "the same call under this key publishes nothing again"),
  },
  examples: [
    `posthaste publish invoice.paid --data '{"id":"inv_1","total":1200}' --priority HIGH`,
    "posthaste publish report.ready --deliver-at 2h",
    "posthaste publish --file events.ndjson",
    "generate-events | posthaste publish --file - --json",
  ],
  async run({ operands: [type], options }, calls) {
    const { file, data, priority, id } = options;
    if (file !== undefined) {
      const others = ["data", "priority", "id", "deliver-at", "idempotency-key"] as const;
      const other = type ?? others.find((name) => options[name] !== undefined);
      if (other === undefined) return await publishMany(file, calls);
      throw new WrongWords(`--file holds whole events: ${other === type ? type : `--${other}`} has no place beside it`);
    }
    if (type === undefined) throw new WrongWords("publish needs TYPE, such as invoice.paid, or --file");
    const dataText = data === "-" ? await textOf(calls.stdin) : (data ?? "null");
    const rest = { deliverAt: options["deliver-at"], idempotencyKey: options["idempotency-key"] };
    return await publishOne({ type, dataText, priority, id, ...rest }, calls);
  },
});

async function publishOne(wish: OneWish, { client, isJson, printJson, screen }: Calls): Promise<number> {
  const { type, dataText, priority, id, deliverAt, idempotencyKey } = wish;
  try {
    JSON.parse(dataText);
  } catch (error) {
    throw new WrongWords(`--data must be JSON, such as '{"id":"inv_1"}' or '"text"' (${messageOf(error)})`);
  }
  const head = JSON.stringify({ type, priority, id, deliver_at: deliverAt });
  const { isReplayed, ...published } = await client.publish(
    { json: `${head.slice(0, -1)},"data":${dataText}}` },
    { idempotencyKey },
  );
  if (isJson) await printJson({ ...published, idempotent_replayed: isReplayed });
  else {
    const again = isReplayed ? " (it was published before, and is one event)" : "";
    await screen.print(`${published.id} is accepted, in the lane ${published.lane}${again}\n`);
    screen.say(screen.saidStyled("dim", `posthaste events show ${published.id} shows what became of it.`));
  }
  return 0;
}

async function publishMany(file: string, calls: Calls): Promise<number> {
  const { screen, client, isJson, surroundings } = calls;
  const input = file === "-" ? calls.stdin : createReadStream(requireFile(file));
  const bytes = file === "-" ? null : statSync(file).size;
  const { monotonic } = surroundings.clock;
  const startedAt = monotonic();
  let [accepted, before, refused] = [0, 0, 0];
  {
    using progress = openProgress(screen, monotonic);
    for await (const batch of eventBatches(input)) {
      const events = batch.events.map(({ json }) => ({ json }));
      const { results } = events.length === 0 ? { results: [] } : await client.publishBatch(events);
      accepted += results.filter((result) => "id" in result).length;
      before += results.filter((result) => "id" in result && result.idempotent_replayed === true).length;
      const told = refusalsIn(batch, results);
      for (const [at, line] of told.entries()) if (refused + at < TOLD_MAX) screen.say(screen.saidStyled("red", line));
      refused += told.length;
      if (isJson) await screen.print(resultLines(batch, results));
      const share = bytes === null || bytes === 0 ? null : batch.bytesRead / bytes;
      const rate = accepted / Math.max(0.001, (monotonic() - startedAt) / 1000);
      progress.update(
        share,
        `${counted(accepted, "event")} accepted, ${Math.round(rate).toLocaleString("en")} a second`,
      );
    }
  }
  if (refused > TOLD_MAX) screen.say(screen.saidStyled("red", `and ${counted(refused - TOLD_MAX, "line")} more`));
  const parts = [
    `${counted(accepted, "event")} accepted`,
    ...(before === 0 ? [] : [`${before.toLocaleString("en")} of them published before`]),
    ...(refused === 0 ? [] : [`${counted(refused, "line")} refused`]),
  ];
  const summary = `${parts.join(", ")}, in ${((monotonic() - startedAt) / 1000).toFixed(1)} s`;
  if (isJson) screen.say(summary);
  else await screen.print(`${summary}\n`);
  return refused === 0 ? 0 : 1;
}

function refusalsIn({ events, faults }: EventBatch, results: readonly BatchResult[]): readonly string[] {
  const refused = results.flatMap((result, at) =>
    "problem" in result ? [{ line: events[at]?.line ?? 0, reason: `is refused: ${inShort(result.problem)}` }] : [],
  );
  return [...faults, ...refused]
    .toSorted((left, right) => left.line - right.line)
    .map(({ line, reason }) => `line ${line} ${reason}`);
}

/** For each line what came of it: the API's result, or the fault that kept it from being sent. */
function resultLines({ events, faults }: EventBatch, results: readonly BatchResult[]): string {
  const rows = [
    ...results.map((result, at) => ({ line: events[at]?.line ?? 0, ...result })),
    ...faults.map(({ line, reason }) => ({ line, status: null, problem: { detail: reason } })),
  ];
  return rows
    .toSorted((left, right) => left.line - right.line)
    .map((row) => `${JSON.stringify(row)}\n`)
    .join("");
}

function requireFile(file: string): string {
  try {
    if (statSync(file).isDirectory()) throw new Error("it is a folder");
    return file;
  } catch (error) {
    throw new WrongWords(`--file ${file} cannot be read: ${messageOf(error)}`);
  }
}

async function textOf(input: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let read = "";
  for await (const piece of input) {
    read += decoder.decode(piece, { stream: true });
    if (read.length > STDIN_LENGTH_MAX) throw new WrongWords("stdin holds more than any event may have, 256 KiB");
  }
  return read + decoder.decode();
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export const publish: readonly Command[] = [one];
