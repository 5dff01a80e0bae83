/** `posthaste receiver`: verifies deliveries with given secrets, or of an endpoint that it makes itself, of any Posthaste. */
import { styleText } from "node:util";
import { ConfigError } from "@posthaste/shared/domain/config.ts";
import { parseSecret } from "@posthaste/shared/domain/signature.ts";
import { systemClock, systemHasher } from "@posthaste/shared/drivers/system.ts";
import { deliveryLine } from "./delivery-line.ts";
import { openLocalReceiver } from "./local-receiver.ts";
import { BEHAVIOUR_PATHS } from "./receiver-behaviour.ts";
import type { Registration } from "./register-endpoint.ts";
import { registerEndpoint, secretOf } from "./register-endpoint.ts";
import { unlessStopped, untilSignal } from "@posthaste/shared/runtime/entry.ts";

export interface ReceiverWish {
  readonly secrets: readonly string[];
  readonly host: string;
  readonly port: number;
  /** Null: its endpoint was made by somebody else. */
  readonly register: { readonly gateway: string; readonly ownUrl: string } | null;
}

/** `operatorKey` is `POSTHASTE_OPERATOR_KEY`. Rejects when an endpoint was to be made and could not. */
export async function runReceiver(wish: ReceiverWish, operatorKey: string | null): Promise<void> {
  const stopped = untilSignal();
  const registration = registrationOf(wish, operatorKey);
  const secrets = [...wish.secrets, ...(registration === null ? [] : [secretOf(registration)])];
  const keys = secrets.map(parseSecret).flatMap((parsed) => (parsed.kind === "ok" ? [parsed.key] : []));
  await using receiver = await openLocalReceiver({
    clock: systemClock,
    hasher: systemHasher,
    host: wish.host,
    port: wish.port,
    isPortWish: false,
    portSetting: "--port",
    hostSetting: "--host",
    keysFor: async () => keys,
    onReceived: (received) => void process.stdout.write(`  ${deliveryLine(received)}\n`),
  });
  process.stdout.write(
    `  Receiver   ${styleText("cyan", receiver.url)}\n  ${styleText("dim", `Failures: ${BEHAVIOUR_PATHS}`)}\n`,
  );
  if (registration !== null) {
    const id = await unlessStopped(stopped, registerEndpoint(registration, systemClock));
    process.stdout.write(`  Endpoint   ${id} at ${registration.gateway}, for ${registration.ownUrl}\n`);
  }
  await stopped;
}

function registrationOf({ register }: ReceiverWish, key: string | null): Registration | null {
  if (register === null) return null;
  if (key === null)
    throw new ConfigError([
      "POSTHASTE_OPERATOR_KEY is missing: --register makes an endpoint with it, as the gateway has it.",
    ]);
  return { ...register, key };
}
