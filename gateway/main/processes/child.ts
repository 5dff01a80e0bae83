/** A gateway process's side of its parent: what it is told, and what it tells. */
import cluster from "node:cluster";
import type { Worker } from "node:cluster";
import type { MetricsFormat } from "@posthaste/shared/domain/metrics-format.ts";
import { CHILD_NUMBER } from "@posthaste/shared/domain/unknown-settings.ts";
import { mergedExposition } from "@posthaste/shared/drivers/metrics/merged-exposition.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { FromChild, FromParent } from "./messages.ts";
import { ignoreFailure, isMessage } from "./messages.ts";
import { createQuestions } from "./questions.ts";

/** Longer than the parent waits for the others. */
const COLLECTED_MS = 4000;

export interface Parent {
  /** It says so, or is gone. */
  readonly wantsStop: Promise<void>;
  isGone(): boolean;
  tellListening(url: string): void;
  /** What all processes of the parent have measured; this one alone when the parent does not answer in time. */
  collect(format: MetricsFormat): Promise<string>;
}

/** Null: this process was started by itself, or by a cluster that is none of ours. `own` is what this process has measured. */
export function openParent(clock: Clock, own: (format: MetricsFormat) => Promise<string>): Parent | null {
  const { worker } = cluster;
  const number = process.env[CHILD_NUMBER];
  if (worker === undefined || worker === null || number === undefined) return null;
  const alone = async (format: MetricsFormat): Promise<string> =>
    mergedExposition(new Map([[Number(number), await own(format)]]), format);
  return parentOf(worker, clock, own, alone);
}

type Collect = (format: MetricsFormat) => Promise<string>;

function parentOf(worker: Worker, clock: Clock, own: Collect, alone: Collect): Parent {
  const questions = createQuestions(clock, COLLECTED_MS);
  const { promise: wantsStop, resolve: stop } = Promise.withResolvers<void>();
  let isGone = false;
  const tell = (message: FromChild): boolean => {
    if (!isGone) worker.send(message, ignoreFailure);
    return !isGone;
  };

  async function hear(message: FromParent): Promise<void> {
    switch (message.kind) {
      case "stop":
        return stop();
      case "are-you-there":
        return void tell({ kind: "here" });
      case "measure":
        return void tell({ kind: "measured", id: message.id, text: await own(message.format).catch(() => "") });
      case "collected":
        return questions.answered(message.id, message.text);
    }
  }

  worker.on("message", (message: unknown) => {
    if (isMessage(message)) hear(message as FromParent).catch(ignoreFailure);
  });
  // Of what the runtime itself tells a parent that is gone.
  worker.on("error", ignoreFailure);
  worker.on("disconnect", () => {
    isGone = true;
    // The runtime would end this process at once, in the middle of its requests.
    worker.exitedAfterDisconnect = true;
    stop();
  });
  // What the parent said before is heard by nobody: a stop is said again to whoever speaks.
  tell({ kind: "here" });
  return {
    wantsStop,
    isGone: () => isGone,
    tellListening: (url) => void tell({ kind: "listening", url }),
    collect: async (format) =>
      (await questions.ask((id) => tell({ kind: "collect", id, format }))) ?? (await alone(format)),
  };
}
