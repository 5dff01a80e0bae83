/** What the parent and its gateway processes tell each other over the channel that `node:cluster` makes. */
import type { MetricsFormat } from "@posthaste/shared/domain/metrics-format.ts";

export type FromParent =
  | { readonly kind: "stop" }
  | { readonly kind: "are-you-there" }
  /** Tell what you measured. */
  | { readonly kind: "measure"; readonly id: number; readonly format: MetricsFormat }
  /** Answers `collect`: what all have measured. */
  | { readonly kind: "collected"; readonly id: number; readonly text: string };

export type FromChild =
  | { readonly kind: "listening"; readonly url: string }
  | { readonly kind: "here" }
  /** Somebody asks for `/metrics`. */
  | { readonly kind: "collect"; readonly id: number; readonly format: MetricsFormat }
  /** Answers `measure`. */
  | { readonly kind: "measured"; readonly id: number; readonly text: string };

/** The runtime's own words for its sockets pass over the same channel. */
export function isMessage(message: unknown): message is { readonly kind: string } {
  return typeof message === "object" && message !== null && "kind" in message && typeof message.kind === "string";
}

/** Of a message to a process that is ending, or is gone: without a listener it would end who sends. */
export function ignoreFailure(): void {}
