/** Redis and Kafka for the demo: those that the environment names, else what `npm run services` starts in a checkout. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ConfigError } from "@posthaste/shared/domain/config.ts";
import { exitWithUs } from "./exit-with-us.ts";

export interface LocalServices extends AsyncDisposable {
  /** The settings that name them, and all other settings of Redis and Kafka in the environment. */
  readonly env: Readonly<Record<string, string>>;
  /** For people; holds no password. */
  readonly shown: string;
}

const script = join(import.meta.dirname, "../test/support/services-main.ts");

export async function openLocalServices(say: (sentence: string) => void): Promise<LocalServices> {
  const env = settingsOf(process.env);
  if (env["REDIS_URL"] !== undefined || env["KAFKA_BROKERS"] !== undefined) {
    return { env, shown: "REDIS_URL and KAFKA_BROKERS", [Symbol.asyncDispose]: async () => undefined };
  }
  if (!existsSync(script)) {
    throw new ConfigError(["demo --distributed needs REDIS_URL and KAFKA_BROKERS, a Redis and a Kafka to run on"]);
  }
  say("Redis and Kafka are started for this run (REDIS_URL and KAFKA_BROKERS would name others).");
  const child = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
  exitWithUs(child);
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGTERM");
    await once(child, "exit");
  };
  const found = new Map<string, string>();
  for await (const line of createInterface({ input: child.stdout })) {
    const [, name, value] = /^(REDIS_URL|KAFKA_BROKERS)=(.+)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) say(line);
    else found.set(name, value);
    if (found.size === 2) {
      const started = Object.fromEntries(found);
      return { env: { ...env, ...started }, shown: [...found.values()].join(" and "), [Symbol.asyncDispose]: stop };
    }
  }
  throw new Error("Redis and Kafka could not be started; see above");
}

function settingsOf(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (/^(?:REDIS|KAFKA)_/.test(name) && value !== undefined && value !== "") settings[name] = value;
  }
  return settings;
}
