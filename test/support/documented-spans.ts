/** The table of spans in docs/operations.md, for tests to hold what they see against. */
import { readFileSync } from "node:fs";

export interface DocumentedSpan {
  readonly name: string;
  readonly kind: string;
  readonly process: string;
  readonly attributes: readonly string[];
}

const page = readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8");

/** Events of an attempt's span, in the order of time. */
export function documentedAttemptEvents(): readonly string[] {
  const table = page.split("| event of `POST` |")[1]?.split("\n\n")[0] ?? "";
  return [...table.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name = ""]) => name);
}

/** By name, with the lane put in and the request that publishes an event. */
export function documentedSpans(lane: string): ReadonlyMap<string, DocumentedSpan> {
  const section = page.split(/^## /m).find((part) => part.startsWith("Traces\n")) ?? "";
  const named = (text: string): string =>
    text.replaceAll("<lane>", lane).replaceAll("<method> <route>", "POST /v1/events");
  const rows = [...section.matchAll(/^\| `([^`]+)` \| ([A-Z]+) \| (\w+) \| [^|]+ \| [^|]+ \| (.+) \|$/gm)];
  const spans = new Map<string, DocumentedSpan>();
  for (const [, name = "", kind = "", process = "", cell = ""] of rows) {
    const words = [...cell.matchAll(/`([^`]+)`/g)].map(([, word = ""]) => named(word));
    // "those of `send <lane>`"
    const attributes = words.flatMap((word) => spans.get(word)?.attributes ?? [word]);
    spans.set(named(name), { name: named(name), kind, process, attributes });
  }
  return spans;
}
