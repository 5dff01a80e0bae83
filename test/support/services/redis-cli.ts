/** Asks a Redis of the tests by `redis-cli`, which comes with the server: the tests of a client need another witness. */
import { execFile } from "node:child_process";

export interface RedisAddress {
  readonly port: number;
  readonly password?: string | undefined;
}

const ANSWER_WITHIN_MS = 20_000;

/** The printed answer, errors of the server included ("NOAUTH ..."); rejects when none could be had. */
export function redisCli({ port, password }: RedisAddress, ...command: string[]): Promise<string> {
  const auth = password === undefined ? {} : { REDISCLI_AUTH: password };
  const env = { ...process.env, ...auth };
  return new Promise((resolve, reject) => {
    execFile(
      "redis-cli",
      ["-p", String(port), ...command],
      { env, timeout: ANSWER_WITHIN_MS, killSignal: "SIGKILL" },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout.trim());
        else reject(new Error(`redis-cli ${command.join(" ")}: ${stderr.trim() || stdout.trim() || error.message}`));
      },
    );
  });
}

/** The server answers; false as well while it loads its data. */
export async function redisAnswers(address: RedisAddress): Promise<boolean> {
  try {
    return (await redisCli(address, "PING")) === "PONG";
  } catch {
    return false;
  }
}
