/**
 * The admin connection: replaced when an answer did not come in time. kafkajs keeps a connection whose requests time
 * out, so one that a network has silently dropped would never be left.
 */
import type { Admin } from "kafkajs";

import type { KafkaContext } from "./client.ts";
import { CLOSE_MS, within } from "./client.ts";

export interface KafkaAdmin extends AsyncDisposable {
  /** Rejects after `ms`; connecting counts. */
  use<Result>(ms: number, work: (admin: Admin) => Promise<Result>): Promise<Result>;
}

class NoAnswer extends Error {
  override readonly name = "NoAnswer";
}

export function openKafkaAdmin(context: KafkaContext): KafkaAdmin {
  const { kafka, clock } = context;
  let current: Admin | null = null;
  return {
    async use(ms, work) {
      current ??= kafka.admin();
      const admin = current;
      // Connecting returns at once when it is connected.
      const working = admin.connect().then(() => work(admin));
      try {
        return await within(clock, ms, working, () => new NoAnswer(`no answer in ${ms} ms`));
      } catch (error) {
        if (error instanceof NoAnswer && current === admin) {
          current = null;
          void disconnectAdmin(context, admin);
        }
        throw error;
      }
    },
    async [Symbol.asyncDispose]() {
      const admin = current;
      current = null;
      if (admin !== null) await disconnectAdmin(context, admin);
    },
  };
}

/** Bounded, and never rejects. */
export async function disconnectAdmin({ clock, onFault }: KafkaContext, admin: Admin): Promise<void> {
  await within(clock, CLOSE_MS, admin.disconnect(), () => new Error("an admin connection did not end")).catch(onFault);
}
