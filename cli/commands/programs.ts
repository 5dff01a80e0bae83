/** Commands that run until they are stopped. What each needs is loaded when it is asked for, so that others begin at once. */
import { fileURLToPath } from "node:url";
import { hostFault, parseConfig } from "@posthaste/shared/domain/config.ts";
import { parseSecret } from "@posthaste/shared/domain/signature.ts";
import { isHttpUrl } from "../api/http-url.ts";
import { RECEIVER_PORT } from "../receiver-behaviour.ts";
import type { Command } from "../words/command.ts";
import { defineCommand } from "../words/command.ts";
import { text, texts, whole, WrongWords } from "../words/option.ts";

const ANY_NUMBER = "Any number of them may run, all with the same settings.";

const dev = defineCommand({
  name: "dev",
  summary: "everything in one process, deliveries to this machine allowed, with a local receiver (= npm start)",
  options: {},
  examples: ["posthaste dev", "PORT=9000 posthaste dev"],
  settings: "own",
  isProgram: true,
  async run(_given, { env }) {
    const { runDev } = await import("../dev.ts");
    const { readPortalLook } = await import("@posthaste/shared/runtime/portal-look.ts");
    const isLogLevelSet = env["LOG_LEVEL"] !== undefined;
    await runDev({ config: parseConfig(env), portal: readPortalLook(env), isLogLevelSet });
    return 0;
  },
});

const serve = defineCommand({
  name: "serve",
  summary: "everything in one process, with production defaults",
  options: {},
  examples: ["posthaste serve", "POSTHASTE_DATA=/var/lib/posthaste posthaste serve"],
  settings: "own",
  isProgram: true,
  async run(_given, { env }) {
    const { runServe } = await import("../serve.ts");
    const { readPortalLook } = await import("@posthaste/shared/runtime/portal-look.ts");
    await runServe(parseConfig(env), readPortalLook(env));
    return 0;
  },
});

const gateway = defineCommand({
  name: "gateway",
  summary: "takes events over HTTP, for processors to deliver; on Redis and Kafka (= npm run gateway)",
  options: {},
  examples: ["REDIS_URL=redis://127.0.0.1:6379 KAFKA_BROKERS=127.0.0.1:9092 posthaste gateway"],
  isProgram: true,
  about: ANY_NUMBER,
  settings: "distributed",
  run: () => become("@posthaste/gateway/main/bun.ts"),
});

const processor = defineCommand({
  name: "processor",
  summary: "delivers what gateways took; on Redis and Kafka (= npm run processor)",
  options: {},
  examples: ["REDIS_URL=redis://127.0.0.1:6379 KAFKA_BROKERS=127.0.0.1:9092 posthaste processor"],
  isProgram: true,
  about: ANY_NUMBER,
  settings: "distributed",
  run: () => become("@posthaste/processor/main/process.ts"),
});

const receiver = defineCommand({
  name: "receiver",
  summary: "listens for deliveries and verifies them",
  about:
    "With --register and --own-url it makes its endpoint itself, with the key in POSTHASTE_OPERATOR_KEY. Its paths fail on demand: /status/500, /fail/2/then-ok, /slow?ms=2000, /hang.",
  options: {
    secret: texts("whsec_...", "the endpoint's secret, as its creation showed it"),
    port: whole("N", `where it listens (${RECEIVER_PORT}; 0 takes a free one)`, { least: 0, most: 65_535 }),
    host: text("HOST", "address to listen on (127.0.0.1)"),
    register: text("GATEWAY", "make its endpoint at this gateway, with --own-url"),
    "own-url": text("URL", "the URL at which the gateway's processor reaches it"),
  },
  examples: [
    "posthaste receiver --secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=",
    "posthaste receiver --register http://127.0.0.1:8080 --own-url http://127.0.0.1:8081/",
  ],
  isProgram: true,
  async run({ options }, { env }) {
    const { secret: secrets, port = RECEIVER_PORT, host = "127.0.0.1" } = options;
    const fault = hostFault(host);
    if (fault !== null) throw new WrongWords(`--host ${fault}`);
    const register = registrationOf(secrets, options.register, options["own-url"]);
    const { runReceiver } = await import("../receiver.ts");
    const key = register === null ? null : parseConfig(env).operatorKey;
    await runReceiver({ secrets, host, port, register }, key);
    return 0;
  },
});

/** Null: its endpoint was made by somebody else. */
function registrationOf(secrets: readonly string[], gatewayUrl: string | undefined, ownUrl: string | undefined) {
  const isRegistered = gatewayUrl !== undefined || ownUrl !== undefined;
  if (secrets.length === 0 && !isRegistered)
    throw new WrongWords("receiver needs --secret whsec_..., as the endpoint's creation showed it");
  for (const secret of secrets) {
    const read = parseSecret(secret);
    if (read.kind === "invalid") throw new WrongWords(`--secret is not usable: ${read.reason}`);
  }
  if (!isRegistered) return null;
  if (!isHttpUrl(gatewayUrl))
    throw new WrongWords("--register must be the URL of a gateway, such as http://127.0.0.1:8080");
  if (!isHttpUrl(ownUrl))
    throw new WrongWords("--own-url must be the URL at which the receiver is reached, such as http://demo:8090/");
  return { gateway: gatewayUrl, ownUrl: new URL(ownUrl).href };
}

/**
 * This process is the program from here on, as if it had been started by its file: it looks at its words, and several gateways start
 * their processes by it. It sets the exit code itself.
 */
async function become(entry: string): Promise<number> {
  const file = fileURLToPath(import.meta.resolve(entry));
  process.argv.splice(1, Infinity, file);
  await import(file);
  return Number(process.exitCode ?? 0);
}

export const programs: readonly Command[] = [dev, serve, gateway, processor, receiver];
