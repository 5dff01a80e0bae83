/** `posthaste tail`: what happens, as it happens. */
import type { AcceptedEntry, AttemptEntry, DeliveryEntry } from "@posthaste/client/public.ts";
import { unreachable } from "@posthaste/shared/lib/assert.ts";
import type { Calls } from "../api/call-command.ts";
import { defineCall } from "../api/call-command.ts";
import type { Watched } from "../api/watch-tail.ts";
import { watchTail } from "../api/watch-tail.ts";
import { timeOfDay } from "../delivery-line.ts";
import { ago, counted, spanText } from "../screen/ago.ts";
import { printable } from "../screen/printable.ts";
import type { Command } from "../words/command.ts";
import { choice, text } from "../words/option.ts";
import { stateStyle } from "./events.ts";

const watch = defineCall({
  name: "tail",
  summary: "shows events as they are accepted and attempts as they are made, until Ctrl-C",
  about:
    "A connection that breaks, as at a restart of the gateway, is made again. What happened meanwhile is not shown: posthaste events list has it.",
  options: {
    type: text("TYPE", "of this type, or of a prefix with .*"),
    lane: choice(["high", "medium", "low"], "LANE", "of this lane"),
    endpoint: text("ID", "attempts to this endpoint alone"),
    outcome: choice(["delivered", "retry", "dead", "failed"], "OUTCOME", "attempts with this outcome alone"),
  },
  examples: ["posthaste tail --type 'invoice.*'", "posthaste tail --outcome failed --json"],
  async run({ options: { type, lane, endpoint, outcome } }, calls) {
    const { client, surroundings, signal } = calls;
    const filter = { type, lane, endpoint_id: endpoint, outcome };
    for await (const entry of watchTail(client, filter, { ...surroundings, signal })) {
      if (calls.isJson) await calls.printJson(entry);
      else await show(entry, calls);
    }
    return 0;
  },
});

async function show(entry: Watched, { screen, place, nowMs }: Calls): Promise<void> {
  const dim = (line: string): void => screen.say(screen.saidStyled("dim", line));
  const warn = (line: string): void => screen.say(screen.saidStyled("yellow", line));
  switch (entry.event) {
    case "watching":
      return dim(`Watching ${place.url}; Ctrl-C ends.`);
    case "accepted":
      return await screen.print(acceptedLine(entry.data, nowMs()));
    case "attempt":
    case "delivery":
      return await screen.print(deliveryLineOf(entry.data, nowMs(), screen));
    case "lost":
      return warn(lostText(entry.data.count));
    case "session-lost":
      return warn(sessionLostText(entry.why));
    case "session-back":
      return warn(`Back after ${spanText(entry.afterMs)}; what happened meanwhile is in posthaste events list.`);
    default:
      return unreachable(entry);
  }
}

export function lostText(count: number | null): string {
  return count === null
    ? "Some entries were not shown: the gateway does not know how many."
    : `${counted(count, "entr")
        .replace(/entrs$/, "entries")
        .replace(/entr$/, "entry")} before this were not shown.`;
}

export function sessionLostText(why: string): string {
  return printable(`The session with the gateway is lost (${why.replace(/\.$/, "")}). Connecting again...`);
}

function acceptedLine(entry: AcceptedEntry, now: number): string {
  const due = entry.deliver_at === null ? "" : `  due ${ago(entry.deliver_at, now)}`;
  const parts = [timeOfDay(Date.parse(entry.accepted_at)), "accepted ", entry.type, entry.id, entry.lane];
  return `${parts.map(printable).join("  ")}  ${entry.body_bytes} bytes${due}\n`;
}

function deliveryLineOf(entry: AttemptEntry | DeliveryEntry, now: number, screen: Calls["screen"]): string {
  const style = stateStyle(entry.state);
  const answer =
    "outcome" in entry
      ? `attempt ${entry.attempt}  ${entry.status ?? entry.fault ?? "none"}  ${entry.duration_ms} ms`
      : "";
  const next = entry.next_attempt_at === null ? "" : `next ${ago(entry.next_attempt_at, now)}`;
  const reason = entry.reason ?? "";
  const parts = [timeOfDay(Date.parse(entry.at)), entry.state.padEnd(9), entry.type, entry.event_id, entry.endpoint_id];
  const [time = "", state = "", ...rest] = [...parts, answer, next, reason]
    .filter((part) => part !== "")
    .map(printable);
  return `${[time, style === null ? state : screen.styled(style, state), ...rest].join("  ")}\n`;
}

export const tail: readonly Command[] = [watch];
