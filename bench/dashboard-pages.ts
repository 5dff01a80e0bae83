/** The pages of the dashboard that the bench of it opens, by name. */
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import type { BenchSystem } from "./bench-system.ts";
import type { Subject } from "./subject-process.ts";

/** As `subjects/history.ts` writes it. */
const RARE_TYPE = "audit.sealed";
const PAGES_ON = 20;

/** The pages that are opened; those over nothing are the same pages with nothing to show. */
export async function pathsOf(
  system: BenchSystem,
  looker: Subject,
  endpoint: string,
  key: string,
): Promise<ReadonlyMap<string, string>> {
  const [tenant = "", endpointId = ""] = endpoint.split("/");
  const some = await listed(system, key, "/v1/events?state=delivered&limit=1");
  const dead = await listed(system, key, "/v1/dead-letters?limit=1");
  const [hoursAgo, later] = [10, 9].map((hours) =>
    new Date(systemClock.now() - hours * 3600 * 1000).toISOString().slice(0, 16),
  );
  const events = "/dashboard/events";
  const one = `/dashboard/endpoints/${endpointId}?tenant=${tenant}`;
  const rare = `${events}?type=${RARE_TYPE}`;
  const paths = new Map([
    ["overview", "/dashboard"],
    ["overview of a tenant", `/dashboard?tenant=${tenant}`],
    ["events", events],
    ["events of a tenant", `${events}?tenant=${tenant}`],
    ["events by type", `${events}?type=order.paid`],
    ["events by a rare type", rare],
    ["events by a rare type, of a tenant", `${rare}&tenant=${tenant}`],
    ["events by state: dead", `${events}?state=dead`],
    ["events by state: none has it", `${events}?state=cancelled`],
    ["events of an endpoint", `${events}?endpoint_id=${endpointId}&tenant=${tenant}`],
    ["events of an endpoint by a rare type", `${rare}&endpoint_id=${endpointId}&tenant=${tenant}`],
    ["events of an hour", `${events}?since=${hoursAgo ?? ""}&until=${later ?? ""}`],
    ["one event", `${events}/${some["id"] ?? ""}?tenant=${some["tenant"] ?? ""}`],
    ["one event that is dead", `${events}/${dead["event_id"] ?? ""}?tenant=${dead["tenant"] ?? ""}`],
    ["endpoints", "/dashboard/endpoints"],
    ["one endpoint", one],
    ["one endpoint, what failed", `${one}&outcome=failed`],
    ["dead letters", "/dashboard/dead-letters"],
    ["dead letters by a rare type", `/dashboard/dead-letters?type=${RARE_TYPE}`],
    ["dead letters of an endpoint", `/dashboard/dead-letters?endpoint_id=${endpointId}`],
  ]);
  if (some["id"] === undefined) for (const name of ["one event", "one event that is dead"]) paths.set(name, events);
  for (const from of ["events", "events by a rare type", "events by state: none has it"]) {
    paths.set(`${from}, ${PAGES_ON} pages on`, await pagesOn(looker, paths.get(from) ?? ""));
  }
  return paths;
}

async function listed(system: BenchSystem, key: string, path: string): Promise<Readonly<Record<string, string>>> {
  const answer = await fetch(`${system.url}${path}`, { headers: { authorization: `Bearer ${key}` } });
  const { data } = (await answer.json()) as { data: Record<string, string>[] };
  return data[0] ?? {};
}

/** The page that so many links to the next lead to, or the last. */
async function pagesOn(looker: Subject, path: string): Promise<string> {
  let at = path;
  for (let page = 0; page < PAGES_ON; page += 1) {
    const { next } = await looker.ask(`time 1 ${at}`);
    if (typeof next !== "string") return at;
    at = next;
  }
  return at;
}
