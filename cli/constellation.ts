/** Gateways and processors on one Redis and Kafka, each a process of its own. */
import { randomBytes } from "node:crypto";
import type { Command, Program } from "./program.ts";
import { startProgram } from "./program.ts";

export interface Constellation extends AsyncDisposable {
  readonly gateways: Program[];
  readonly processors: Program[];
  readonly operatorKey: string;
  /** Starts one more of a kind with the same settings; it is part of the constellation when this resolves. */
  add(kind: "gateway" | "processor"): Promise<Program>;
}

/**
 * `env` names the stores and may change any setting. All start at once. Disposing lets each end what it has begun, and
 * kills those that take longer than `graceMs`.
 */
export async function openConstellation(options: {
  readonly gateways: number;
  readonly processors: number;
  readonly env: Readonly<Record<string, string>>;
  readonly graceMs: number;
  /** Of gateways that another runtime runs. */
  readonly gatewayCommand?: Command;
}): Promise<Constellation> {
  const operatorKey = randomBytes(24).toString("hex");
  const env = {
    POSTHASTE_MASTER_KEY: randomBytes(32).toString("base64"),
    POSTHASTE_OPERATOR_KEY: operatorKey,
    POSTHASTE_ALLOW_CIDRS: "127.0.0.0/8",
    // No balancer watches it.
    STOP_NOTICE_S: "0",
    ...options.env,
  };
  const gateways: Program[] = [];
  const processors: Program[] = [];
  const add = async (kind: "gateway" | "processor"): Promise<Program> => {
    const program = await startProgram(kind, env, kind === "gateway" ? options.gatewayCommand : undefined);
    (kind === "gateway" ? gateways : processors).push(program);
    return program;
  };
  async function endAll(): Promise<void> {
    // Gateways first, so that nothing new comes while the processors end.
    for (const programs of [gateways, processors]) {
      await Promise.all(programs.map((program) => endWithin(program, options.graceMs)));
    }
  }
  const starts = await Promise.allSettled([
    ...Array.from({ length: options.gateways }, () => add("gateway")),
    ...Array.from({ length: options.processors }, () => add("processor")),
  ]);
  const failed = starts.find((start) => start.status === "rejected");
  if (failed !== undefined) {
    await endAll();
    throw failed.reason;
  }
  return { gateways, processors, operatorKey, add, [Symbol.asyncDispose]: endAll };
}

async function endWithin(program: Program, graceMs: number): Promise<void> {
  const timer = setTimeout(() => void program.end("SIGKILL"), graceMs);
  await program.end("SIGTERM");
  clearTimeout(timer);
}
