/**
 * `npm run services`: Redis and Kafka for working by hand, until Ctrl-C. Prints the environment that names them, ready
 * for a shell. REDIS_PORT and KAFKA_PORT fix the ports. All data is thrown away at the end.
 */
import { openServices } from "./services.ts";
import { findContainerEngine } from "./services/containers.ts";
import { missingPackages } from "./services/debian-packages.ts";
import { isKafkaMissing } from "./services/kafka-jars.ts";
import { readWords } from "./script-words.ts";

const HELP = `Usage: npm run services

Starts a Redis and a Kafka for working by hand, prints REDIS_URL and KAFKA_BROKERS, and ends them on Ctrl-C with all data.
REDIS_PORT and KAFKA_PORT fix the ports.

Where a container engine answers (DOCKER_HOST or its socket) they are containers, of the images that docker-compose.yml names.
Elsewhere they are programs of this machine, and what is missing is named, then installed: redis-server, a Java 17 and Maven by apt-get (as root on Debian and
its kin; elsewhere you are asked to install them), Kafka's jars by Maven (about 45 MB, kept in node_modules/.cache).
`;
readWords({ help: HELP, options: {} });

function portFrom(name: string): number | undefined {
  const text = process.env[name] ?? "";
  if (text === "") return undefined;
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new Error(`${name} is no port: ${text}`);
}

const ended = new Promise<void>((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => resolve());
});

/** Before anything is changed on the machine. */
function announceInstalls(): void {
  const fetchesKafka = isKafkaMissing();
  const packages = missingPackages(fetchesKafka).map((name) => `the package ${name} by apt-get`);
  const parts = [...packages, ...(fetchesKafka ? ["Kafka's jars by Maven (about 45 MB)"] : [])];
  if (parts.length === 0) return;
  console.log(`Installed first, as this machine lacks it: ${parts.join(", ")}.`);
}

async function serve(): Promise<void> {
  if ((await findContainerEngine()) === null) announceInstalls();
  const opening = openServices({ env: {}, redisPort: portFrom("REDIS_PORT"), kafkaPort: portFrom("KAFKA_PORT") });
  // An end during the start leaves at once; the reaper ends what has been started.
  const services = await Promise.race([opening, ended]);
  if (services === undefined) return;
  await using running = services;
  console.log(`REDIS_URL=${running.env.REDIS_URL}`);
  console.log(`KAFKA_BROKERS=${running.env.KAFKA_BROKERS}`);
  await ended;
}

try {
  await serve();
  process.exit(0);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
