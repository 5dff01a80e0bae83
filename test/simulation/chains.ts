/** All sends of one event to one endpoint in order: what the promises about attempts are held against. */
import { GROUP_TYPE } from "@posthaste/shared/domain/envelope.ts";
import type { Published, Slot } from "./model.ts";
import type { Send } from "./virtual-network.ts";
import { headerOf, isDelivered } from "./virtual-network.ts";

export interface Chain {
  readonly slot: Slot;
  readonly eventId: string;
  readonly published: Published;
  readonly sends: Send[];
}

/** One event as a send carries it. */
export interface Member {
  readonly eventId: string;
  readonly n: number;
  readonly type: string;
  /** The text that must stand in the body for it. */
  readonly expectedText: (published: Published) => RegExp;
}

export interface Chains {
  add(send: Send, slot: Slot, member: Member, published: Published): Chain;
  find(slot: Slot, eventId: string): Chain | null;
  all(): Iterable<Chain>;
}

export function createChains(): Chains {
  const chains = new Map<string, Chain>();
  const keyOf = (slot: Slot, eventId: string): string => `${slot.index} ${slot.tenant} ${eventId}`;
  return {
    add(send, slot, { eventId }, published) {
      const key = keyOf(slot, eventId);
      let chain = chains.get(key);
      if (chain === undefined) {
        chain = { slot, eventId, published, sends: [] };
        chains.set(key, chain);
      }
      chain.sends.push(send);
      return chain;
    },
    find: (slot, eventId) => chains.get(keyOf(slot, eventId)) ?? null,
    all: () => chains.values(),
  };
}

const decoder = new TextDecoder();

interface WireEvent {
  readonly id?: string;
  readonly type: string;
  readonly data: { readonly n: number } | readonly WireEvent[];
}

/** The events of a message; null when it is none of ours. */
export function membersOf(send: Send): readonly Member[] | null {
  const wire = JSON.parse(decoder.decode(send.body)) as WireEvent;
  const isGroup = wire.type === GROUP_TYPE;
  const events = isGroup ? (wire.data as readonly WireEvent[]) : [{ ...wire, id: headerOf(send, "webhook-id") ?? "" }];
  const members: Member[] = [];
  for (const { id, type, data } of events) {
    if (id === undefined || !("n" in data)) return null;
    members.push({ eventId: id, n: data.n, type, expectedText: (published) => textOf(id, published, isGroup) });
  }
  return members;
}

function textOf(eventId: string, { type, dataText }: Published, isGroup: boolean): RegExp {
  const escaped = dataText.replaceAll(/[{}"+.]/g, String.raw`\$&`);
  const inner = String.raw`"type":"${type}","timestamp":"[0-9T:.Z-]{24}","data":${escaped}\}`;
  return isGroup ? new RegExp(String.raw`\{"id":"${eventId}",${inner}`) : new RegExp(String.raw`^\{${inner}$`);
}

export function bodyText(send: Send): string {
  return decoder.decode(send.body);
}

export function attemptOf(send: Send): number {
  return Number(headerOf(send, "posthaste-attempt"));
}

/** The receiver said 2xx, and the sender, alive, heard it. */
export function isHeardDelivered({ heard }: Send): boolean {
  return heard !== null && isDelivered(heard.result);
}

/** Some receiver said 2xx, whoever heard it. */
export function isAnsweredDelivered({ answered }: Send): boolean {
  return answered !== null && answered.status >= 200 && answered.status <= 299;
}
