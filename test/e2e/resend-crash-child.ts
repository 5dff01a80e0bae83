/**
 * A gateway on the data folder given, that publishes an event, sends it again under a key, and prints the answer and what is
 * planned. With a second argument it kills itself at that line: `claimed` before the plan is written, `planned` right after it.
 */
import { die, openCrashGateway } from "./crash-gateway.ts";

const [folder = "", dieWhen = ""] = process.argv.slice(2);
const { drivers, post } = await openCrashGateway(folder, (real) => ({
  ...real,
  retryQueue: {
    ...real.retryQueue,
    async schedule(items) {
      if (dieWhen === "claimed") die();
      const result = await real.retryQueue.schedule(items);
      if (dieWhen === "planned") die();
      return result;
    },
  },
}));
const { endpoints } = await drivers.directory.endpoints("default", 0);
if (endpoints.length === 0) await post("/v1/endpoints", JSON.stringify({ url: "https://a.example/" }));
await post("/v1/events", JSON.stringify({ type: "order.paid", id: "order-1", data: {} }));
const answer = await post("/v1/events/order-1/resend", "{}", { "idempotency-key": "again" });
const { deliveries } = (await answer.json()) as { readonly deliveries?: readonly { readonly delivery_id: string }[] };
const due = await drivers.retryQueue.take(100, new AbortController().signal);
process.stdout.write(
  `${JSON.stringify({
    status: answer.status,
    isReplay: answer.headers.get("idempotent-replayed") === "true",
    deliveries: deliveries?.map((delivery) => delivery.delivery_id),
    planned: due.map(({ endpointId, generation, attempt }) => `${endpointId} ${generation} ${attempt}`),
  })}\n`,
);
await drivers[Symbol.asyncDispose]();
