/** Events of a file or of stdin, one JSON text a line, in batches that the API takes. Nothing but one batch is held in memory. */

export interface EventLine {
  /** From 1. */
  readonly line: number;
  /** As it stands in the file, without white space around it. */
  readonly json: string;
}

export interface EventBatch {
  readonly events: readonly EventLine[];
  /** Lines that are no event, with the reason. */
  readonly faults: readonly { readonly line: number; readonly reason: string }[];
  /** Of the file, up to here. */
  readonly bytesRead: number;
}

/** What the API takes in one batch, less the commas and the rest around them. */
const EVENTS_MAX = 1000;
const BYTES_MAX = 4 * 1024 * 1024 - 64 * 1024;
/** An event has at most 256 KiB; a line that is much longer is no event, and is not collected. */
const LINE_LENGTH_MAX = 1024 * 1024;

export async function* eventBatches(input: AsyncIterable<Uint8Array>): AsyncGenerator<EventBatch, void, undefined> {
  let events: EventLine[] = [];
  let faults: { line: number; reason: string }[] = [];
  let bytes = 0;
  let bytesRead = 0;
  for await (const { line, text, end } of linesOf(input)) {
    const fault = text === "" ? null : faultOf(text);
    const size = Buffer.byteLength(text) + 1;
    if (events.length >= EVENTS_MAX || (bytes + size > BYTES_MAX && events.length > 0)) {
      yield { events, faults, bytesRead };
      [events, faults, bytes] = [[], [], 0];
    }
    bytesRead = end;
    if (text === "") continue;
    if (fault === null) {
      events.push({ line, json: text });
      bytes += size;
    } else faults.push({ line, reason: fault });
  }
  if (events.length > 0 || faults.length > 0) yield { events, faults, bytesRead };
}

/** What cannot go into a batch would refuse the whole of it. */
function faultOf(text: string): string | null {
  if (text.length > LINE_LENGTH_MAX) return `is longer than ${LINE_LENGTH_MAX} characters`;
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === "object" && value !== null && !Array.isArray(value) ? null : "is no JSON object";
  } catch (error) {
    return `is no JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
}

async function* linesOf(input: AsyncIterable<Uint8Array>) {
  const decoder = new TextDecoder("utf-8");
  let rest = "";
  let line = 0;
  let end = 0;
  for await (const piece of input) {
    end += piece.length;
    const parts = (rest + decoder.decode(piece, { stream: true })).split("\n");
    // A line without end is cut where it is surely no event; its beginning says so.
    rest = (parts.pop() ?? "").slice(0, LINE_LENGTH_MAX + 1);
    for (const part of parts) yield { line: ++line, text: part.trim(), end };
  }
  rest += decoder.decode();
  if (rest.trim() !== "") yield { line: ++line, text: rest.trim(), end };
}
