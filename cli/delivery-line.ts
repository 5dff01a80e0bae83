/** One line of the terminal for each delivery that a receiver got. */
import { styleText } from "node:util";
import type { Received } from "./local-receiver.ts";

/** Foreign bytes never reach the terminal as they are. */
const unprintable = /[^\x20-\x7e]/g;

export function deliveryLine(received: Received): string {
  const { verification, status } = received;
  const isVerified = verification.kind === "verified";
  const verdict = isVerified
    ? styleText("green", "signature verified")
    : styleText("red", `NOT VERIFIED: ${verification.reason}`);
  const isPlain = isVerified && status !== null && status >= 200 && status <= 299;
  return [
    styleText("dim", timeOfDay(received.atMs)),
    styleText("bold", shown(received.type === "" ? "(no type)" : received.type)),
    shown(received.id === "" ? "(no id)" : received.id),
    `attempt ${received.attempt}`,
    `${received.bytes} bytes`,
    verdict,
    ...(isPlain ? [] : [styleText("red", status === null ? "left without an answer" : `answered ${status}`)]),
  ].join("  ");
}

export function timeOfDay(atMs: number): string {
  return new Date(atMs).toTimeString().slice(0, 8);
}

export function shown(text: string): string {
  return text.slice(0, 128).replace(unprintable, "?");
}
