/** What an operator and the owners do after Redis was emptied: keys and endpoints that nobody remembered are made again. */
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";
import type { ApiKeyStore } from "@posthaste/shared/ports/api-keys.ts";
import { isStoreUnavailable } from "@posthaste/shared/domain/errors.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { Slot } from "../model.ts";
import { wasAsked } from "../model.ts";
import { creationOf } from "../owner.ts";
import type { Actor } from "../publisher.ts";

const NEVER = new AbortController().signal;
const AGAIN_MS = 1000;
/** Until then whoever remembers something has written it back. */
const WRITTEN_BACK_MS = 20_000;

export async function restoreKeys(
  clock: Clock,
  keys: readonly ApiKey[],
  store: () => Pick<ApiKeyStore, "save"> | null,
): Promise<void> {
  for (const key of keys) {
    for (let isSaved = false; !isSaved;) {
      await clock.sleep(AGAIN_MS, NEVER);
      isSaved =
        (await store()
          ?.save(key)
          .then(() => true, refusedForNow)) === true;
    }
  }
}

function refusedForNow(error: unknown): false {
  if (!isStoreUnavailable(error)) throw error;
  return false;
}

/** A tenant for which nobody can tell whether it had endpoints gets one that asks for nothing: its events need not wait. */
export async function restoreEndpoints(actor: Actor, tenants: readonly string[]): Promise<void> {
  await actor.clock.sleep(WRITTEN_BACK_MS, NEVER);
  for (const slot of actor.model.slots) {
    if (slot.mayBeLost && slot.id !== null && !wasAsked(slot, "delete")) await restoreEndpoint(actor, slot);
  }
  for (const tenant of tenants) {
    const body = JSON.stringify({ url: "https://nobody.example/hooks", tenant, event_types: ["nothing"] });
    await actor.client.insist({ method: "POST", path: "/v1/endpoints", body });
  }
}

async function restoreEndpoint({ client }: Actor, slot: Slot): Promise<void> {
  const path = `/v1/endpoints/${slot.id}?tenant=${slot.tenant}`;
  if ((await client.insist({ method: "GET", path }))?.status !== 404) return;
  const reply = await client.insist({ method: "POST", path: "/v1/endpoints", body: creationOf(slot) });
  if (reply?.status !== 201) return;
  const created = JSON.parse(reply.text) as { readonly id: string; readonly secret: string };
  slot.id = created.id;
  slot.secrets.push(created.secret);
}
