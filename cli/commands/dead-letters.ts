/** `posthaste dead-letters`: what was not delivered, and again. */
import type { Client, DeadLetter, ReplayedMany } from "@posthaste/client/public.ts";
import type { Calls } from "../api/call-command.ts";
import { defineCall, forEachId } from "../api/call-command.ts";
import { listOptions, listRows } from "../api/list-rows.ts";
import { ago, counted } from "../screen/ago.ts";
import { printable } from "../screen/printable.ts";
import { openProgress } from "../screen/progress.ts";
import type { Column } from "../screen/table.ts";
import { factsOf } from "../screen/table.ts";
import type { Command } from "../words/command.ts";
import { choice, flag, text, time, whole, WrongWords } from "../words/option.ts";
import { stateStyle } from "./events.ts";

const ID = { name: "ID", summary: "the dead letter's id, dlv_..." } as const;

const filters = {
  endpoint: text("ID", "of this endpoint"),
  event: text("ID", "of this event"),
  type: text("TYPE", "of this event type"),
  state: choice(["dead", "expired", "paused", "disabled", "backlog"], "STATE", "in this state"),
  since: time("that came at or after it: a time, or a span such as 2h before now", "ago"),
  until: time("that came before it", "ago"),
};

type Filters = { readonly [Name in keyof typeof filters]: string | undefined };
type Filter = NonNullable<Parameters<Client["deadLetters"]["list"]>[0]>;

/** Of the options of a command those that are filters. */
function filterOf({ endpoint, event, type, state, since, until }: Filters): Filter {
  return { endpoint_id: endpoint, event_id: event, type, state: state as Filter["state"], since, until };
}

const list = defineCall({
  name: "dead-letters list",
  summary: "lists deliveries that were not made and get no attempt by themselves, the newest first",
  options: { ...filters, ...listOptions },
  examples: [
    "posthaste dead-letters list --endpoint ep_01m8545zc1 --since 7d",
    "posthaste dead-letters list --all --json | jq -r .reason | sort | uniq -c",
  ],
  run({ options }, calls) {
    const now = calls.nowMs();
    const columns: readonly Column<DeadLetter>[] = [
      { title: "ID", cell: ({ id }) => id },
      ...(calls.tenant === "*" ? [{ title: "TENANT", cell: ({ tenant }: DeadLetter) => tenant }] : []),
      { title: "TYPE", cell: ({ event_type: type }) => type, widthMin: 10, leftOut: 2 },
      { title: "ENDPOINT", cell: ({ endpoint_id: endpoint }) => endpoint ?? "none" },
      { title: "STATE", cell: ({ state }) => state, style: ({ state }) => stateStyle(state), leftOut: 3 },
      { title: "ATTEMPTS", cell: ({ attempt_count: count }) => String(count), isRight: true, leftOut: 4 },
      { title: "SINCE", cell: ({ at }) => ago(at, now), isRight: true, leftOut: 1 },
      { title: "REASON", cell: ({ reason }) => reason, widthMin: 16 },
    ];
    const page = (query: object) => calls.client.deadLetters.list({ ...filterOf(options), ...query });
    return listRows<DeadLetter>({ thing: "dead letter", columns, page }, options, calls);
  },
});

const show = defineCall({
  name: "dead-letters show",
  summary: "shows a dead letter with the event's data",
  operands: [ID],
  options: {},
  examples: ["posthaste dead-letters show dlv_01m85460eg2gx2nzxsx6h17r3c"],
  async run({ operands: [id = ""] }, { client, isJson, printJson, screen, nowMs }) {
    const letter = await client.deadLetters.get(id);
    if (isJson) {
      await printJson(letter);
      return 0;
    }
    const facts: readonly (readonly [string, string | null])[] = [
      ["Dead letter", letter.id],
      ["Event", letter.event_id],
      ["Type", letter.event_type],
      ["Tenant", letter.tenant],
      ["Endpoint", letter.endpoint_id ?? "none: it was never fanned out"],
      ["State", `${letter.state}: ${letter.reason}`],
      ["Attempts", String(letter.attempt_count)],
      ["Since", `${letter.at} (${ago(letter.at, nowMs())})`],
      ["Accepted", letter.event.accepted_at],
    ];
    await screen.print(factsOf(facts, screen.styled));
    await screen.print(`\n${screen.styled("dim", "Data")}\n${printable(JSON.stringify(letter.data))}\n`);
    return 0;
  },
});

const replay = defineCall({
  name: "dead-letters replay",
  summary: "gives dead letters new attempts: those that are named, or all that the filters leave",
  about:
    "Without an id a filter or --all is needed. A replay is planned durably before its dead letter is taken away, so one that is cut off is gone on with by the same call.",
  operands: [{ ...ID, isOptional: true, isMany: true }],
  options: {
    ...filters,
    all: flag("all dead letters"),
    rate: whole("N", "attempts that begin in a second (100)", { least: 1, most: 1000 }),
    "dry-run": flag("only count"),
  },
  examples: [
    "posthaste dead-letters replay dlv_01m85460eg2gx2nzxsx6h17r3c",
    "posthaste dead-letters replay --endpoint ep_01m8545zc1 --since 24h --dry-run",
    "posthaste dead-letters replay --all --rate 50",
  ],
  async run({ operands: ids, options }, calls) {
    const { all, rate, "dry-run": isDryRun, ...given } = options;
    const named = Object.keys(filters).filter((name) => given[name as keyof Filters] !== undefined);
    if (ids.length > 0) {
      const other = named[0] ?? (all ? "all" : isDryRun ? "dry-run" : null);
      if (other !== null) throw new WrongWords(`--${other} has no place beside ids`);
      return await replayIds(ids, calls);
    }
    if (named.length === 0 && !all) throw new WrongWords("dead-letters replay needs an ID, a filter, or --all");
    return await replayAll({ ...filterOf(given), rate_per_s: rate, dry_run: isDryRun }, calls);
  },
});

function replayIds(ids: readonly string[], calls: Calls): Promise<number> {
  return forEachId(ids, calls, async (id) => {
    const answer = await calls.client.deadLetters.replay(id);
    if (calls.isJson) return await calls.printJson(answer);
    const { event_id: event, endpoint_id: endpoint } = answer;
    await calls.screen.print(`${id} is replayed: ${event} to ${endpoint ?? "all endpoints of its type"}\n`);
  });
}

/** One call looks at about 10,000; goes on while there is more. */
async function replayAll(wish: Parameters<Client["deadLetters"]["replayAll"]>[0], calls: Calls): Promise<number> {
  const { client, screen, isJson, surroundings } = calls;
  const sum = { matched: 0, replayed: 0, skipped: 0, dry_run: wish.dry_run === true };
  // How many there are is counted first, so that the bar knows its end; a person alone needs one.
  const total = sum.dry_run || !screen.isErrorTerminal ? null : await countAll(wish, calls);
  {
    using progress = openProgress(screen, surroundings.clock.monotonic);
    let cursor: string | undefined;
    do {
      const part: ReplayedMany = await client.deadLetters.replayAll({ ...wish, cursor });
      sum.matched += part.matched;
      sum.replayed += part.replayed;
      sum.skipped += part.skipped;
      cursor = part.has_more ? part.next_cursor : undefined;
      progress.update(total === null ? null : sum.matched / Math.max(1, total), counted(sum.matched, "dead letter"));
    } while (cursor !== undefined);
  }
  if (isJson) await calls.printJson(sum);
  else {
    const skipped = sum.skipped === 0 ? "" : `, ${sum.skipped} passed over since their endpoints are gone`;
    const told = sum.dry_run
      ? `${counted(sum.matched, "dead letter")} would be replayed${skipped}`
      : `${counted(sum.replayed, "dead letter")} replayed${skipped}`;
    await screen.print(`${told}\n`);
  }
  return 0;
}

async function countAll(wish: Parameters<Client["deadLetters"]["replayAll"]>[0], { client }: Calls): Promise<number> {
  let [count, cursor]: [number, string | undefined] = [0, undefined];
  do {
    const part: ReplayedMany = await client.deadLetters.replayAll({ ...wish, dry_run: true, cursor });
    count += part.matched;
    cursor = part.has_more ? part.next_cursor : undefined;
  } while (cursor !== undefined);
  return count;
}

const remove = defineCall({
  name: "dead-letters delete",
  summary: "deletes dead letters; a held delivery ends as dead",
  operands: [{ ...ID, isMany: true }],
  options: {},
  examples: ["posthaste dead-letters delete dlv_01m85460eg2gx2nzxsx6h17r3c"],
  run: ({ operands: ids }, calls) =>
    forEachId(ids, calls, async (id) => {
      await calls.client.deadLetters.delete(id);
      if (calls.isJson) await calls.printJson({ id, deleted: true });
      else await calls.screen.print(`${id} is deleted.\n`);
    }),
});

export const deadLetters: readonly Command[] = [list, show, replay, remove];
