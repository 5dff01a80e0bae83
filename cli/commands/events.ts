/** `posthaste events`: what became of events, why, and again. */
import type { Attempt, Delivery, EventState, EventStatus, ListedEvent, Why } from "@posthaste/client/public.ts";
import type { Calls } from "../api/call-command.ts";
import { defineCall, forEachId } from "../api/call-command.ts";
import { dataTextIn } from "../api/data-text.ts";
import { listOptions, listRows, tableScreen } from "../api/list-rows.ts";
import { ago, counted } from "../screen/ago.ts";
import { printable } from "../screen/printable.ts";
import type { Style } from "../screen/screen.ts";
import type { Column } from "../screen/table.ts";
import { factsOf, tableOf } from "../screen/table.ts";
import type { Command } from "../words/command.ts";
import { choice, flag, text, time } from "../words/option.ts";

const STATES = ["pending", "delivered", "partial", "dead", "filtered", "cancelled"] as const;
const STYLES: Readonly<Record<string, Style>> = {
  delivered: "green",
  dead: "red",
  partial: "yellow",
  retrying: "yellow",
  retry: "yellow",
  pending: "cyan",
};
const ID = { name: "ID", summary: "the event's id, evt_... or one of your own" } as const;
const IDS = { ...ID, isMany: true } as const;

export function stateStyle(state: string): Style | null {
  return STYLES[state] ?? null;
}

const list = defineCall({
  name: "events list",
  summary: "lists events, the newest first",
  options: {
    type: text("TYPE", "of this type"),
    state: choice(STATES, "STATE", "in this state"),
    endpoint: text("ID", "of which a delivery to this endpoint was recorded"),
    since: time("accepted at or after it: a time, or a span such as 2h before now", "ago"),
    until: time("accepted before it", "ago"),
    ...listOptions,
  },
  examples: [
    "posthaste events list --state dead --since 24h",
    "posthaste events list --type invoice.paid --all --json | jq -r .id",
  ],
  async run({ options: { type, state, endpoint, since, until, ...wish } }, calls) {
    const filter = { type, state, endpoint_id: endpoint, since, until };
    return await listRows<ListedEvent>(
      {
        thing: "event",
        columns: eventColumns(calls),
        page: (query) => calls.client.events.list({ ...filter, ...query }),
      },
      wish,
      calls,
    );
  },
});

function eventColumns({ tenant, nowMs }: Calls): readonly Column<ListedEvent>[] {
  const now = nowMs();
  return [
    { title: "ID", cell: ({ id }) => id },
    ...(tenant === "*" ? [{ title: "TENANT", cell: (event: ListedEvent) => event.tenant }] : []),
    { title: "TYPE", cell: ({ type }) => type, widthMin: 12 },
    { title: "LANE", cell: ({ lane }) => lane, leftOut: 1 },
    { title: "STATE", cell: ({ state }) => state, style: ({ state }) => stateStyle(state satisfies EventState) },
    { title: "ACCEPTED", cell: ({ accepted_at: at }) => ago(at, now), isRight: true },
    { title: "BYTES", cell: ({ body_bytes: bytes }) => bytes.toLocaleString("en"), isRight: true, leftOut: 2 },
  ];
}

const show = defineCall({
  name: "events show",
  summary: "shows an event with its deliveries and attempts",
  operands: [ID],
  options: {
    data: flag("with its data, as the text that was published"),
    filtered: flag("with the endpoints that do not subscribe to its type, the first 20"),
  },
  examples: ["posthaste events show evt_01m85460eg2gx2nzxsx6h17r3c", "posthaste events show inv-1 --data"],
  async run({ operands: [id = ""], options }, calls) {
    const { client, screen, isJson } = calls;
    const include = (["data", "filtered"] as const).filter((name) => options[name]);
    const answer = await client.events.getText(id, { include });
    if (isJson) await screen.print(`${answer}\n`);
    else await printEvent(JSON.parse(answer) as EventStatus, options.data ? dataTextIn(answer) : null, calls);
    return 0;
  },
});

async function printEvent(event: EventStatus, dataText: string | null, calls: Calls): Promise<void> {
  const { screen, nowMs } = calls;
  const now = nowMs();
  const facts: readonly (readonly [string, string | null])[] = [
    ["Event", event.id],
    ["Tenant", event.tenant],
    ["Type", event.type],
    ["State", event.reason === null ? event.state : `${event.state}: ${event.reason}`],
    ["Lane", `${event.lane} (${event.priority})`],
    ["Accepted", `${event.accepted_at} (${ago(event.accepted_at, now)})`],
    ["Happened", event.timestamp === event.accepted_at ? null : event.timestamp],
    ["Deliver at", event.deliver_at],
    ["Waits", waitingText(event, now)],
    ["Trace", event.trace_id],
    ["Size", counted(event.body_bytes, "byte")],
    ["Not subscribed", event.filtered_count === 0 ? null : counted(event.filtered_count, "endpoint")],
  ];
  await screen.print(factsOf(facts, screen.styled));
  for (const delivery of event.deliveries) await printDelivery(delivery, calls);
  if (dataText !== null) await screen.print(`\n${screen.styled("dim", "Data")}\n${printable(dataText)}\n`);
}

function waitingText({ waiting }: Pick<EventStatus, "waiting">, now: number): string | null {
  if (waiting === null) return null;
  const until = waiting.until === null ? "" : `, planned ${ago(waiting.until, now)}`;
  return `for ${waiting.for} since ${ago(waiting.since, now)}${until}`;
}

async function printDelivery(delivery: Delivery, { screen, nowMs }: Calls): Promise<void> {
  const now = nowMs();
  const { state, reason, url, endpoint_id: endpoint, attempts } = delivery;
  const head = `${endpoint ?? "(no endpoint)"}  ${url ?? "(the endpoint is gone)"}`;
  const replayed = delivery.replayed_at === null ? "" : `, replayed ${ago(delivery.replayed_at, now)}`;
  const waits = waitingText(delivery, now);
  const style = stateStyle(state);
  const said = printable(`${state}${reason === null ? "" : `: ${reason}`}${replayed}`);
  await screen.print(
    `\n${screen.styled("bold", printable(head))}\n  ${style === null ? said : screen.styled(style, said)}\n${waits === null ? "" : `  waits ${waits}\n`}`,
  );
  const rows = attempts.toSorted((left, right) => left.attempt - right.attempt);
  if (rows.length > 0) {
    const table = tableOf(attemptColumns(now), rows, { ...tableScreen(screen), width: screen.width() - 2 });
    await screen.print(table.replaceAll(/^(?=.)/gm, "  "));
  }
}

export function attemptColumns(now: number): readonly Column<Attempt>[] {
  return [
    { title: "ATTEMPT", cell: ({ attempt }) => String(attempt), isRight: true, leftOut: 3 },
    { title: "AT", cell: ({ at }) => ago(at, now), isRight: true },
    { title: "OUTCOME", cell: ({ outcome }) => outcome, style: ({ outcome }) => stateStyle(outcome) },
    { title: "ANSWER", cell: ({ status, fault }) => (status === null ? (fault ?? "none") : String(status)) },
    { title: "MS", cell: ({ duration_ms: ms }) => String(ms), isRight: true, leftOut: 1 },
    {
      title: "DETAIL",
      cell: ({ detail, response }) => [detail, response?.excerpt].filter((part) => (part ?? "") !== "").join(" | "),
      widthMin: 12,
      leftOut: 2,
    },
  ];
}

const why = defineCall({
  name: "events why",
  summary: "says what was decided between an event and an endpoint, and what it waits for",
  about:
    "Without --endpoint it is told of each endpoint that had anything of the event, the first 20 that do not subscribe included.",
  operands: [ID],
  options: { endpoint: text("ID", "of this endpoint alone") },
  examples: ["posthaste events why evt_01m85460eg2gx2nzxsx6h17r3c --endpoint ep_01m8545zc1"],
  async run({ operands: [id = ""], options }, calls) {
    const { client, isJson, printJson, screen } = calls;
    const endpoints = options.endpoint === undefined ? await endpointsOf(id, calls) : [options.endpoint];
    if (endpoints.length === 0) {
      const { state, reason } = await client.events.get(id);
      screen.say(`No endpoint has anything of this event yet; it is ${state}${reason === null ? "" : `: ${reason}`}.`);
      screen.say("Name an endpoint with --endpoint to hear what would be decided.");
    }
    for (const endpoint of endpoints) {
      const answer = await client.events.why(id, endpoint);
      if (isJson) await printJson(answer);
      else await printWhy(answer, calls);
    }
    return 0;
  },
});

async function endpointsOf(id: string, { client }: Calls): Promise<readonly string[]> {
  const { deliveries } = await client.events.get(id, { include: ["filtered"] });
  return [...new Set(deliveries.flatMap(({ endpoint_id: endpoint }) => endpoint ?? []))];
}

async function printWhy(answer: Why, { screen, nowMs }: Calls): Promise<void> {
  const waits = waitingText(answer, nowMs());
  await screen.print(`${screen.styled("bold", printable(`${answer.event_id} and ${answer.endpoint_id}`))}\n`);
  if (waits !== null) await screen.print(`waits ${waits}\n`);
  const columns: readonly Column<Why["decisions"][number]>[] = [
    { title: "ON", cell: ({ on }) => on },
    { title: "CODE", cell: ({ code }) => code },
    { title: "DETAIL", cell: ({ detail }) => detail, widthMin: 20 },
  ];
  // Details are sentences: they are not cut, the terminal breaks them.
  await screen.print(`${tableOf(columns, answer.decisions, { ...tableScreen(screen), width: Infinity })}\n`);
}

const resend = defineCall({
  name: "events resend",
  summary: "sends events again, to all active endpoints that subscribe to the type now or to one",
  operands: [IDS],
  options: {
    endpoint: text("ID", "to this endpoint alone"),
    "idempotency-key": text("KEY", "the same call under this key sends nothing again; for one event"),
  },
  examples: ["posthaste events resend evt_01m85460eg2gx2nzxsx6h17r3c --endpoint ep_01m8545zc1"],
  run: ({ operands: ids, options }, calls) =>
    forEachId(ids, calls, async (id) => {
      const idempotencyKey = ids.length === 1 ? options["idempotency-key"] : undefined;
      const answer = await calls.client.events.resend(id, { endpoint_id: options.endpoint, idempotencyKey });
      if (calls.isJson) return await calls.printJson(answer);
      const { deliveries, skipped } = answer;
      const to = deliveries.map(({ endpoint_id: endpoint }) => endpoint).join(", ");
      await calls.screen.print(`${id} is sent again to ${counted(deliveries.length, "endpoint")}: ${to}\n`);
      for (const { endpoint_id: endpoint, reason } of skipped) {
        calls.screen.say(printable(`${endpoint} was passed over: ${reason}`));
      }
    }),
});

const cancel = defineCall({
  name: "events cancel",
  summary: "cancels events before their deliver_at",
  operands: [IDS],
  options: {},
  examples: ["posthaste events cancel evt_01m85460eg2gx2nzxsx6h17r3c"],
  run: ({ operands: ids }, calls) =>
    forEachId(ids, calls, async (id) => {
      const answer = await calls.client.events.cancel(id);
      if (calls.isJson) await calls.printJson(answer);
      else await calls.screen.print(`${id} is cancelled; nobody gets it.\n`);
    }),
});

export const events: readonly Command[] = [list, show, why, resend, cancel];
