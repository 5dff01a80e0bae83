/**
 * Announcements between gateway and processor. One that is lost costs time, never truth: listeners hear that some were
 * lost, and look for themselves.
 */

export type Announcement =
  /** An endpoint was created, changed or removed. */
  | { readonly kind: "directory-changed"; readonly tenant: string; readonly endpointId: string }
  /** The catalogue of event types was changed. */
  | { readonly kind: "event-types-changed" }
  /** This process was cut off for a while: any endpoint may have changed meanwhile. Never published. */
  | { readonly kind: "some-were-lost" };

export interface Notifier {
  publish(announcement: Announcement): void;
  /** Returns what ends the subscription. A listener that throws is reported and keeps its subscription. */
  subscribe(listener: (announcement: Announcement) => void): () => void;
}
