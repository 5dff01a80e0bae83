/** `posthaste listen`: the events of a gateway, forwarded to a program on this machine as an endpoint would get them. */
import { systemEntropy, systemHasher } from "@posthaste/shared/drivers/system.ts";
import { newSecret, parseSecret } from "@posthaste/shared/domain/signature.ts";
import { unreachable } from "@posthaste/shared/lib/assert.ts";
import type { Calls } from "../api/call-command.ts";
import { defineCall } from "../api/call-command.ts";
import { isHttpUrl } from "../api/http-url.ts";
import { timeOfDay } from "../delivery-line.ts";
import type { Notice } from "../listen/arrivals.ts";
import { CATCH_UP_MAX, fillInbox } from "../listen/arrivals.ts";
import type { Loaded } from "../listen/forward.ts";
import { forward, loadBody } from "../listen/forward.ts";
import type { Arrival } from "../listen/inbox.ts";
import { Inbox } from "../listen/inbox.ts";
import { counted, spanText } from "../screen/ago.ts";
import { printable } from "../screen/printable.ts";
import type { Command } from "../words/command.ts";
import { text, time, WrongWords } from "../words/option.ts";
import { lostText, sessionLostText } from "./tail.ts";

/** Bodies that are asked for ahead of the one that is being forwarded. */
const AHEAD = 8;

const run = defineCall({
  name: "listen",
  summary: "forwards events, signed, to a program on this machine as they are accepted, until Ctrl-C",
  about:
    "It is for developing: no endpoint is made, and no address of this machine has to be reached from outside. Each event that an endpoint with these types would get is sent once, in the order in which it came, one after the other, and what the program answers is shown and not tried again. An event with deliver_at is sent when it is accepted. A session that is lost, as at a restart of the gateway, is taken up again, and what was accepted meanwhile is fetched and sent first. The key needs the scope read.",
  options: {
    forward: text("URL", "where events go, such as http://localhost:3000/hook (needed)"),
    type: text("TYPE", "of this type, or of a prefix with .* (what an endpoint with * gets)"),
    secret: text("whsec_...", "signs with this secret (one is made and shown)"),
    since: time("begins with the events accepted since: a time, or a span such as 10m before now", "ago"),
  },
  examples: [
    "posthaste listen --forward http://localhost:3000/hook",
    "posthaste listen --forward http://localhost:3000/hook --type 'invoice.*' --since 10m",
  ],
  async run({ options }, calls) {
    const { forward: url, type } = options;
    if (!isHttpUrl(url))
      throw new WrongWords("listen needs --forward URL, such as --forward http://localhost:3000/hook");
    const secret = options.secret ?? newSecret(systemEntropy);
    const parsed = parseSecret(secret);
    if (parsed.kind === "invalid") throw new WrongWords(`--secret is not usable: ${parsed.reason}`);
    const { client, surroundings } = calls;
    const inbox = new Inbox();
    const stopping = new AbortController();
    const signal = AbortSignal.any([calls.signal, stopping.signal]);
    const sinceMs = options.since === undefined ? null : Date.parse(options.since);
    const tell = (notice: Notice): Promise<void> => told(notice, { url, secret }, calls);
    const filling = fillInbox({ client, type: type ?? null, sinceMs, inbox, surroundings, signal, tell }).finally(() =>
      inbox.close(),
    );
    try {
      await Promise.all([filling, forwardAll({ inbox, url, key: parsed.key, signal }, calls)]);
    } finally {
      stopping.abort();
    }
    return 0;
  },
});

/** In order, one after the other; the next bodies are asked for meanwhile. */
async function forwardAll(
  { inbox, url, key, signal }: { inbox: Inbox; url: string; key: Uint8Array; signal: AbortSignal },
  calls: Calls,
): Promise<void> {
  const { client, surroundings } = calls;
  const ahead: { readonly arrival: Arrival; readonly loading: Promise<Loaded> }[] = [];
  for (;;) {
    while (ahead.length < AHEAD) {
      const arrival = inbox.give();
      if (arrival === null) break;
      const loading = loadBody(client, arrival, { clock: surroundings.clock, signal });
      // It is awaited in its turn.
      loading.catch(() => undefined);
      ahead.push({ arrival, loading });
    }
    const first = ahead.shift();
    if (first === undefined) {
      if (inbox.isClosed || signal.aborted) return;
      await inbox.wait();
      continue;
    }
    const { arrival, loading } = first;
    const loaded = await loading.catch((error: unknown) => {
      if (signal.aborted) return null;
      throw error;
    });
    if (loaded === null) return;
    const result =
      loaded.kind === "gone"
        ? ({ kind: "fault", fault: `not forwarded: ${loaded.why}`, durationMs: 0 } as const)
        : await forward(
            { url, id: arrival.id, body: loaded.body, key },
            { surroundings, hasher: systemHasher, signal },
          );
    if (signal.aborted) return;
    await showForwarded(arrival, result, calls);
    const leftOut = inbox.leftOut();
    if (leftOut > 0)
      calls.screen.say(`${counted(leftOut, "event")} came faster than they are taken, and are left out.`);
  }
}

async function showForwarded(
  { tenant, id, type, acceptedAt }: Arrival,
  result: Awaited<ReturnType<typeof forward>>,
  { isJson, printJson, screen, nowMs }: Calls,
): Promise<void> {
  const isAnswered = result.kind === "answered";
  const status = isAnswered ? result.status : null;
  const fault = isAnswered ? null : result.fault;
  const at = new Date(nowMs()).toISOString();
  if (isJson) {
    const facts = { at, tenant, id, type, accepted_at: acceptedAt, status, fault, duration_ms: result.durationMs };
    return await printJson({ event: "forwarded", ...facts });
  }
  const isGood = status !== null && status >= 200 && status <= 299;
  const said = screen.styled(isGood ? "green" : "red", printable(String(status ?? fault)));
  const clock = screen.styled("dim", timeOfDay(nowMs()));
  await screen.print(`${clock}  ${printable(type)}  ${printable(id)}  ${said}  ${result.durationMs} ms\n`);
}

async function told(notice: Notice, own: { url: string; secret: string }, calls: Calls): Promise<void> {
  const { isJson, printJson, screen, place } = calls;
  if (isJson) {
    const facts = notice.event === "listening" ? { gateway: place.url, forward: own.url, secret: own.secret } : {};
    return await printJson({ ...notice, ...facts });
  }
  const warn = (line: string): void => screen.say(screen.saidStyled("yellow", line));
  switch (notice.event) {
    case "listening": {
      const facts = [`Gateway     ${place.url}`, `Forward to  ${own.url}`, `Secret      ${own.secret}`];
      await screen.print(`${facts.join("\n")}\n\n`);
      return screen.say(screen.saidStyled("dim", "Waiting for events; Ctrl-C ends."));
    }
    case "earlier":
      return warn(
        `${counted(notice.events, "earlier event")} ${notice.events === 1 ? "comes" : "come"} first${cutText(notice.isCut)}.`,
      );
    case "session-lost":
      return warn(sessionLostText(notice.why));
    case "session-back": {
      const missed =
        notice.missed === 0 ? "no event was" : `${counted(notice.missed, "event")} ${isAre(notice.missed)}`;
      const rest = notice.missed === 0 ? " missed" : " accepted meanwhile and come now";
      return warn(`Back after ${spanText(notice.afterMs)}; ${missed}${rest}${cutText(notice.isCut)}.`);
    }
    case "lost":
      return warn(
        `${lostText(notice.count)} ${counted(notice.found, "event")} found in the list${cutText(notice.isCut)}.`,
      );
    case "late":
      return warn(`${counted(notice.events, "event")} more of that time come now.`);
    default:
      return unreachable(notice);
  }
}

function isAre(count: number): string {
  return count === 1 ? "was" : "were";
}

function cutText(isCut: boolean): string {
  return isCut ? `, the newest ${CATCH_UP_MAX.toLocaleString("en")}; older ones are in posthaste events list` : "";
}

export const listen: readonly Command[] = [run];
