/**
 * A gateway on the data folder given, that publishes one event with the key given and prints the answer. With a third
 * argument it kills itself, as SIGKILL does, at that line: `claimed` before the append, `appended` right after it.
 */
import { die, openCrashGateway } from "./crash-gateway.ts";

const [folder = "", header = "", value = "", body = "", dieWhen = ""] = process.argv.slice(2);
const { drivers, post } = await openCrashGateway(folder, (real) => ({
  ...real,
  lanes: {
    ...real.lanes,
    async append(envelopes) {
      if (dieWhen === "claimed") die();
      await real.lanes.append(envelopes);
      if (dieWhen === "appended") die();
    },
  },
}));
const answer = await post("/v1/events", body, header === "" ? {} : { [header]: value });
const events = await drivers.ledger.events({ tenant: null }, 100, null);
process.stdout.write(
  `${JSON.stringify({
    status: answer.status,
    isReplay: answer.headers.get("idempotent-replayed") === "true",
    id: ((await answer.json()) as { id?: string }).id,
    kept: events.rows.map(({ envelope }) => envelope.id),
    waiting: (await drivers.lanes.depth("medium")).count,
  })}\n`,
);
await drivers[Symbol.asyncDispose]();
