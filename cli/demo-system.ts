/** The two systems that the demo can be run through. */
import { createStreamSink } from "@posthaste/shared/runtime/stream-sink.ts";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { parseConfig } from "@posthaste/shared/domain/config.ts";
import { PLAIN_PORTAL } from "@posthaste/shared/domain/portal-config.ts";
import { openConstellation } from "./constellation.ts";
import { whenWeExit } from "./exit-with-us.ts";
import { openPosthaste } from "./embedded.ts";
import { openLocalServices } from "./local-services.ts";

export interface DemoSystem extends AsyncDisposable {
  /** Of each gateway. */
  readonly urls: readonly string[];
  readonly operatorKey: string;
  readonly tenant: string;
}

export type OpenSystem = () => Promise<DemoSystem>;

const GATEWAYS = 2;
const PROCESSORS = 2;
/** Each program gets so long to end what it has begun. */
const GRACE_MS = 20_000;

/** Everything in this process, on a temporary folder. */
export async function openEmbeddedDemo(): Promise<DemoSystem> {
  await using opening = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "posthaste-demo-"));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const forget = whenWeExit(remove);
  opening.defer(() => {
    forget();
    remove();
  });
  const posthaste = opening.use(
    await openPosthaste({
      // None of the caller's settings: the demo is the same everywhere.
      config: parseConfig({ PORT: "0", POSTHASTE_DATA: folder }),
      portal: PLAIN_PORTAL,
      isDev: true,
      logLevel: "error",
      writeLog: createStreamSink(process.stderr),
      showKeyOnce: () => undefined,
    }),
  );
  const opened = opening.move();
  return {
    urls: [posthaste.url],
    operatorKey: posthaste.operatorKey ?? "",
    tenant: "default",
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/**
 * Two gateways and two processors, each a process, on the Redis and the Kafka of REDIS_URL and KAFKA_BROKERS; without
 * them on services that are started for it. Topics and keys carry a prefix of the demo's own and stay there.
 */
export async function openDistributedDemo(say: (sentence: string) => void): Promise<DemoSystem> {
  await using opening = new AsyncDisposableStack();
  const services = opening.use(await openLocalServices(say));
  say(`${GATEWAYS} gateways and ${PROCESSORS} processors start on ${services.shown}.`);
  const constellation = opening.use(
    await openConstellation({
      gateways: GATEWAYS,
      processors: PROCESSORS,
      graceMs: GRACE_MS,
      env: { ...services.env, KAFKA_PREFIX: "posthaste-demo.", REDIS_PREFIX: "posthaste-demo:" },
    }),
  );
  const opened = opening.move();
  return {
    urls: constellation.gateways.map(({ url }) => url),
    operatorKey: constellation.operatorKey,
    // One of its own for each run: an endpoint that an interrupted run left is not asked.
    tenant: `demo-${randomBytes(6).toString("hex")}`,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}
