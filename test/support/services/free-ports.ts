/**
 * Ports for services of a test. They lie below the range from which the system takes ports of outgoing connections
 * (32768 and up on Linux), so that a service that is killed finds its port free when it starts again.
 */
import { randomInt } from "node:crypto";
import { createServer } from "node:net";

const FIRST_PORT = 11_000;
const LAST_PORT = 21_999;
/** Redis Cluster talks between its nodes on port + 10000. */
const BUS_OFFSET = 10_000;
const TRIES_MAX = 500;

/** Ports that this process was given: never given twice, even when nothing listens on them for a while. */
const given = new Set<number>();

/** `1/2`: of the ports only every second, from the second on. So test runs beside each other never take the same. */
const { TEST_PORTS: share = "0/1" } = process.env;
const [place = 0, places = 1] = share.split("/").map(Number);

/** Ports on which nothing listens at the moment, with their bus ports free too. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports: number[] = [];
  for (let tries = 0; ports.length < count; tries++) {
    if (tries === TRIES_MAX) throw new Error(`found no ${count} free ports from ${FIRST_PORT} to ${LAST_PORT}`);
    const port = randomInt(FIRST_PORT, LAST_PORT + 1);
    if (port % places !== place || given.has(port) || !(await isFree(port)) || !(await isFree(port + BUS_OFFSET)))
      continue;
    given.add(port);
    ports.push(port);
  }
  return ports;
}

/** One free port, for services that need no more. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  if (port === undefined) throw new Error("freePorts(1) gave none");
  return port;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)));
  });
}
