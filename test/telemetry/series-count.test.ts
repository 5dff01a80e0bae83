/** However many tenants, endpoints and event types there are, /metrics grows no further. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { LANES } from "@posthaste/shared/domain/event.ts";
import { openEmbedded } from "@posthaste/shared/drivers/embedded.ts";
import { openMetrics } from "@posthaste/shared/drivers/metrics/metrics.ts";
import { createSealer, systemClock, systemEntropy, systemHasher } from "@posthaste/shared/drivers/system.ts";
import type { DeliveryRequest } from "@posthaste/shared/ports/transport.ts";
import { silentLog } from "@posthaste/shared/telemetry/log.ts";
import { createTelemetry } from "@posthaste/shared/telemetry/telemetry.ts";
import { observeProgram } from "@posthaste/shared/runtime/observe-program.ts";
import { PROCESSOR_LIMITS } from "@posthaste/processor/limits.ts";
import { startProcessor } from "@posthaste/processor/processor.ts";
import { parseMetrics } from "../support/parsed-metrics.ts";
import { answered, endpointOf, envelopeOf, faulted } from "../support/samples.ts";
import { waitFor } from "../support/services/wait-for.ts";

const TENANTS = 1000;
const ENDPOINTS_EACH = 10;
const ROWS_MAX = 150;
const LINES_MAX = 1400;
const STATUSES = [200, 201, 204, 400, 404, 410, 429, 500, 502, 503] as const;

/** Answers in ten ways, and now and then not at all. */
function answerOf({ url }: DeliveryRequest) {
  const index = Number(/\d+$/.exec(new URL(url).hostname.split(".")[0] ?? "")?.[0] ?? 0);
  if (index % 23 === 0) return faulted("timeout");
  return answered(STATUSES[index % STATUSES.length] ?? 200);
}

/** Combinations of labels, a histogram's one each; and the lines that they are, a histogram's one for each bucket and two more. */
async function countsOf(text: string) {
  const families = await parseMetrics(text, "openmetrics");
  const rows = families.flatMap(({ samples }) =>
    samples.filter(({ name, labels }) => !("le" in labels) && !name.endsWith("_sum")),
  );
  return { rows: rows.length, lines: families.reduce((sum, { samples }) => sum + samples.length, 0) };
}

test("10,000 endpoints of 1,000 tenants and 1,000 event types make a few hundred series at most, of which 500 have made most", async () => {
  const ambient = { clock: systemClock, entropy: systemEntropy, hasher: systemHasher };
  await using metrics = openMetrics(systemClock, { "service.name": "posthaste" });
  const telemetry = createTelemetry({
    meter: metrics.meter,
    log: silentLog,
    ...ambient,
    logsDeliveries: false,
    spans: null,
  });
  const database = new DatabaseSync(":memory:");
  await using drivers = openEmbedded({ ...ambient, sealer: createSealer(systemEntropy.bytes(32)), database });
  using parts = new DisposableStack();
  parts.use(observeProgram({ drivers, telemetry, clock: systemClock, countsEndpoints: true }));
  let attempts = 0;
  const transport = {
    send(request: DeliveryRequest) {
      attempts += 1;
      return Promise.resolve(answerOf(request));
    },
  };
  const processor = startProcessor({ ...ambient, drivers, transport, telemetry, limits: PROCESSOR_LIMITS });

  async function publish(from: number, to: number): Promise<void> {
    const tenants = Array.from({ length: to - from }, (_, index) => from + index);
    const endpoints = tenants.flatMap((tenant) =>
      Array.from({ length: ENDPOINTS_EACH }, (_, index) =>
        endpointOf(`ep_${tenant * ENDPOINTS_EACH + index}`, { tenant: `tenant_${tenant}` }),
      ),
    );
    await Promise.all(endpoints.map((endpoint) => drivers.directory.create(endpoint)));
    const envelopes = tenants.map((tenant) =>
      envelopeOf(`evt_${tenant}`, LANES[tenant % 3], {
        tenant: `tenant_${tenant}`,
        type: `type.${tenant}`,
        directoryVersion: ENDPOINTS_EACH,
      }),
    );
    await drivers.lanes.append(envelopes);
    for (const envelope of envelopes) telemetry.accept.accepted(envelope, 1);
    const expected = to * ENDPOINTS_EACH;
    await waitFor({ fact: `${expected} attempts`, withinMs: 60_000, holds: () => attempts >= expected });
  }

  await publish(0, 50);
  const few = await countsOf(await metrics.collect("openmetrics"));
  await publish(50, TENANTS);
  const many = await countsOf(await metrics.collect("openmetrics"));
  assert.ok(many.rows <= ROWS_MAX && many.lines <= LINES_MAX, JSON.stringify(many));
  assert.ok(many.rows <= 2 * few.rows, `${few.rows} with 500 endpoints, ${many.rows} with 10,000`);
  console.log(
    `${many.rows} combinations of labels, ${many.lines} lines; with 500 endpoints ${few.rows} and ${few.lines}`,
  );
  await processor.stop();
});
