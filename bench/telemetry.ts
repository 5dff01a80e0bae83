/**
 * What traces cost: accept and delivery with every trace sampled and exported to a collector on this machine, against none;
 * and with a collector that takes connections and never answers. Interleaved rounds in one run; the ratio of medians counts.
 */
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { runSubject } from "./accept.ts";
import { runProcessor } from "./deliver.ts";
import type { Figures, Finding } from "./figures.ts";
import { figuresFinding, figuresRow, medianFigures } from "./figures.ts";
import { requireWrk } from "./load.ts";
import { startSubject } from "./subject-process.ts";

type Environment = Readonly<Record<string, string>>;

export async function benchTelemetry(wish: { rounds: number; seconds: number; events: number }): Promise<Finding[]> {
  requireWrk();
  await using collector = await startSubject("otlp-sink.ts");
  await using silent = await openSilent();
  const to = (port: unknown): Environment => ({
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `http://127.0.0.1:${String(port)}/v1/traces`,
    OTEL_EXPORTER_OTLP_TIMEOUT: "1000",
  });
  const variants: readonly (readonly [name: string, env: Environment])[] = [
    ["no traces", {}],
    ["all traces, to a collector", to(collector.hello["port"])],
    ["all traces, the collector hangs", to(silent.port)],
  ];
  return [
    await compare("accept", wish.rounds, variants, (env) => runSubject("gateway.ts", env, wish.seconds)),
    await compare("deliver", wish.rounds, variants, (env) => runProcessor(wish.events, env)),
  ];
}

async function compare(
  name: string,
  rounds: number,
  variants: readonly (readonly [name: string, env: Environment])[],
  run: (env: Environment) => Promise<Figures>,
): Promise<Finding> {
  const results = variants.map((): Figures[] => []);
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, [, env]] of variants.entries()) results[index]?.push(await run(env));
  }
  const medians = results.map((rows) => medianFigures(rows));
  const [without] = medians;
  if (without === undefined) throw new Error("no rounds");
  const rows = variants.map(([variant], index) => figuresRow(variant, medians[index] ?? without, without));
  return figuresFinding(
    `telemetry, ${name}: ${rounds} interleaved rounds, medians; the ratio is to the first row`,
    rows,
  );
}

/** Takes connections and never answers. */
async function openSilent() {
  const sockets = new Set<{ destroy(): void }>();
  const server = createServer((socket) => void sockets.add(socket.on("error", () => undefined)));
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => void server.close(resolve));
    },
  };
}
