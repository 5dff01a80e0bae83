/** `posthaste endpoints`: who gets what, and how it goes there. */
import type { Endpoint, EndpointAttempt, EndpointStats } from "@posthaste/client/public.ts";
import type { Calls } from "../api/call-command.ts";
import { defineCall, forEachId } from "../api/call-command.ts";
import { listOptions, listRows } from "../api/list-rows.ts";
import { ago, counted } from "../screen/ago.ts";
import { printable } from "../screen/printable.ts";
import type { Style } from "../screen/screen.ts";
import type { Column } from "../screen/table.ts";
import { factsOf } from "../screen/table.ts";
import type { Command } from "../words/command.ts";
import { choice, flag, text, time, WrongWords } from "../words/option.ts";
import { endpointFields, endpointOptions, secretFile, secretIn } from "./endpoint-options.ts";
import { attemptColumns } from "./events.ts";

const ID = { name: "ID", summary: "the endpoint's id, ep_..." } as const;
const IDS = { ...ID, isMany: true } as const;
const STATUSES = ["active", "paused", "disabled"] as const;
const STYLES = { active: "green", paused: "yellow", disabled: "red" } as const satisfies Record<string, Style>;

const list = defineCall({
  name: "endpoints list",
  summary: "lists endpoints, the oldest first",
  options: { status: choice(STATUSES, "STATUS", "with this status"), ...listOptions },
  examples: ["posthaste endpoints list", "posthaste endpoints list --status disabled --tenant '*' --all"],
  run({ options: { status, ...wish } }, calls) {
    const page = (query: object) => calls.client.endpoints.list({ status, ...query });
    return listRows<Endpoint>({ thing: "endpoint", columns: columnsOf(calls), page }, wish, calls);
  },
});

function columnsOf({ tenant, nowMs }: Calls): readonly Column<Endpoint>[] {
  const now = nowMs();
  return [
    { title: "ID", cell: ({ id }) => id },
    ...(tenant === "*" ? [{ title: "TENANT", cell: (endpoint: Endpoint) => endpoint.tenant }] : []),
    { title: "URL", cell: ({ url }) => url, widthMin: 20 },
    { title: "TYPES", cell: ({ event_types: types }) => types.join(","), widthMin: 8, leftOut: 1 },
    { title: "STATUS", cell: ({ status }) => status, style: ({ status }) => STYLES[status] },
    { title: "FAILING", cell: ({ failing_since: at }) => (at === null ? "no" : `since ${ago(at, now)}`), leftOut: 2 },
    { title: "MADE", cell: ({ created_at: at }) => ago(at, now), isRight: true, leftOut: 3 },
  ];
}

const show = defineCall({
  name: "endpoints show",
  summary: "shows an endpoint with its settings and the counts of the last day",
  operands: [ID],
  options: {},
  examples: ["posthaste endpoints show ep_01m8545zc1"],
  async run({ operands: [id = ""] }, calls) {
    const [endpoint, stats] = [await calls.client.endpoints.get(id), await calls.client.endpoints.stats(id)];
    if (calls.isJson) await calls.printJson({ ...endpoint, stats });
    else await calls.screen.print(factsOf(factsFor(endpoint, stats, calls.nowMs()), calls.screen.styled));
    return 0;
  },
});

function factsFor(
  endpoint: Endpoint,
  stats: EndpointStats,
  now: number,
): readonly (readonly [string, string | null])[] {
  const { status, status_reason: reason, status_since: since, rate_limit: limit, batch, retry } = endpoint;
  const { attempts, delivered, retried, dead, duration_ms_mean: mean, last_attempt_at: last } = stats;
  const statusText = `${status}${since === null ? "" : ` since ${ago(since, now)}`}${reason === null ? "" : `: ${reason}`}`;
  return [
    ["Endpoint", endpoint.id],
    ["Tenant", endpoint.tenant],
    ["URL", endpoint.url],
    ["Types", endpoint.event_types.join(", ")],
    ["Description", endpoint.description],
    ["Status", statusText],
    ["Failing", endpoint.failing_since === null ? "no" : `since ${ago(endpoint.failing_since, now)}`],
    ["Headers", Object.keys(endpoint.headers).join(", ")],
    ["Retry", "delays_s" in retry ? `before each attempt ${retry.delays_s.join(", ")} s` : JSON.stringify(retry)],
    ["Rate limit", limit === null ? null : `${limit.limit} attempts in ${limit.window_ms} ms`],
    ["Batch", batch === null ? null : `${batch.max_events} LOW events, at most ${batch.max_wait_ms} ms`],
    ["Made", `${endpoint.created_at} (${ago(endpoint.created_at, now)})`],
    ["Last day", `${counted(attempts, "attempt")}: ${delivered} delivered, ${retried} to be retried, ${dead} dead`],
    ["Mean time", mean === null ? null : `${mean} ms`],
    ["Last attempt", ago(last, now)],
  ];
}

const create = defineCall({
  name: "endpoints create",
  summary: "makes an endpoint and shows its secret, once",
  operands: [{ name: "URL", summary: "where its events go, such as https://example.com/hooks" }],
  options: { ...endpointOptions, "secret-file": secretFile, paused: flag("paused from the start") },
  examples: [
    "posthaste endpoints create https://example.com/hooks --types 'invoice.*,order.paid'",
    "posthaste endpoints create https://example.com/hooks --header 'x-token: abc' --retry 0,5,60 --json",
  ],
  async run({ operands: [url = ""], options }, { client, isJson, printJson, screen }) {
    const secret = secretIn(options["secret-file"]);
    const made = await client.endpoints.create({ url, secret, ...endpointFields(options), paused: options.paused });
    if (isJson) await printJson(made);
    else {
      await screen.print(`${made.id}  ${printable(made.url)}\nSecret  ${made.secret}\n`);
      screen.say("The secret verifies what comes there. It is shown this once: keep it now.");
    }
    return 0;
  },
});

const update = defineCall({
  name: "endpoints update",
  summary: "changes the settings that are named",
  operands: [ID],
  options: {
    "endpoint-url": text("URL", "where its events go from now on"),
    ...endpointOptions,
    enable: flag("enables an endpoint that Posthaste disabled"),
  },
  examples: [
    "posthaste endpoints update ep_01m8545zc1 --types 'invoice.*' --rate-limit 10/1000",
    "posthaste endpoints update ep_01m8545zc1 --enable",
  ],
  async run({ operands: [id = ""], options }, calls) {
    const { headers, ...fields } = endpointFields(options);
    // An empty value removes a header; what is made has none to remove.
    const changed = Object.entries(headers ?? {}).map(([name, value]) => [name, value === "" ? null : value] as const);
    const changes = {
      ...fields,
      url: options["endpoint-url"],
      headers: headers === undefined ? undefined : Object.fromEntries(changed),
      disabled: options.enable ? (false as const) : undefined,
    };
    if (Object.values(changes).every((value) => value === undefined))
      throw new WrongWords("endpoints update needs something to change, such as --types 'invoice.*'");
    return await printChanged(await calls.client.endpoints.update(id, changes), calls);
  },
});

async function printChanged(endpoint: Endpoint, { isJson, printJson, screen }: Calls): Promise<number> {
  if (isJson) await printJson(endpoint);
  else await screen.print(`${endpoint.id} is ${endpoint.status}  ${printable(endpoint.url)}\n`);
  return 0;
}

function defineSwitch(name: "pause" | "resume", summary: string): Command {
  return defineCall({
    name: `endpoints ${name}`,
    summary,
    operands: [IDS],
    options: {},
    examples: [`posthaste endpoints ${name} ep_01m8545zc1`],
    run: ({ operands: ids }, calls) =>
      forEachId(ids, calls, async (id) => {
        await printChanged(await calls.client.endpoints.update(id, { paused: name === "pause" }), calls);
      }),
  });
}

const rotate = defineCall({
  name: "endpoints rotate",
  summary: "makes a new secret and shows it, once; the old one signs beside it for 24 h",
  operands: [ID],
  options: { "secret-file": secretFile },
  examples: ["posthaste endpoints rotate ep_01m8545zc1"],
  async run({ operands: [id = ""], options }, { client, isJson, printJson, screen, nowMs }) {
    const rotated = await client.endpoints.rotateSecret(id, { secret: secretIn(options["secret-file"]) });
    if (isJson) await printJson(rotated);
    else {
      await screen.print(`Secret  ${rotated.secret}\n`);
      const { previous_expires_at: until } = rotated;
      const old = until === null ? "" : ` The old one signs beside it until ${until} (${ago(until, nowMs())}).`;
      screen.say(`It is shown this once: keep it now.${old}`);
    }
    return 0;
  },
});

const test = defineCall({
  name: "endpoints test",
  summary: "sends one posthaste.test event to an endpoint alone",
  operands: [IDS],
  options: {},
  examples: ["posthaste endpoints test ep_01m8545zc1"],
  run: ({ operands: ids }, calls) =>
    forEachId(ids, calls, async (id) => {
      const sent = await calls.client.endpoints.test(id);
      if (calls.isJson) await calls.printJson(sent);
      else await calls.screen.print(`${sent.id} is on its way to ${id}; posthaste events show ${sent.id}\n`);
    }),
});

const remove = defineCall({
  name: "endpoints delete",
  summary: "deletes endpoints; what is held for one ends as dead",
  operands: [IDS],
  options: {},
  examples: ["posthaste endpoints delete ep_01m8545zc1"],
  run: ({ operands: ids }, calls) =>
    forEachId(ids, calls, async (id) => {
      await calls.client.endpoints.delete(id);
      if (calls.isJson) await calls.printJson({ id, deleted: true });
      else await calls.screen.print(`${id} is deleted.\n`);
    }),
});

const attempts = defineCall({
  name: "endpoints attempts",
  summary: "lists the attempts of an endpoint, the newest first",
  operands: [ID],
  options: {
    outcome: choice(["delivered", "retry", "dead", "failed"], "OUTCOME", "with this outcome"),
    result: text("RESULT", "with this result: 2xx to 5xx, or a fault such as timeout"),
    event: text("ID", "of this event"),
    since: time("made at or after it: a time, or a span such as 2h before now", "ago"),
    until: time("made before it", "ago"),
    ...listOptions,
  },
  examples: ["posthaste endpoints attempts ep_01m8545zc1 --outcome failed --since 24h"],
  run({ operands: [id = ""], options: { outcome, result, event, since, until, ...wish } }, calls) {
    const columns: readonly Column<EndpointAttempt>[] = [
      { title: "EVENT", cell: ({ event_id: eventId }) => eventId },
      { title: "TYPE", cell: ({ event_type: type }) => type, widthMin: 10 },
      ...attemptColumns(calls.nowMs()),
    ];
    const filter = { outcome, result, event_id: event, since, until };
    const page = (query: object) => calls.client.endpoints.attempts(id, { ...filter, ...query });
    return listRows<EndpointAttempt>({ thing: "attempt", columns, page }, wish, calls);
  },
});

export const endpoints: readonly Command[] = [
  list,
  show,
  create,
  update,
  defineSwitch("pause", "pauses endpoints: events wait for the end of the pause"),
  defineSwitch("resume", "ends the pause of endpoints; what was held is delivered"),
  rotate,
  test,
  remove,
  attempts,
];
