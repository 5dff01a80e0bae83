/** At-most-once announcements between gateway and processor; a lost one costs time, never truth. */

export type Announcement =
  /** An endpoint was created, changed or removed. */
  { readonly kind: "directory-changed"; readonly tenant: string; readonly endpointId: string };

export interface Notifier {
  publish(announcement: Announcement): void;
  /** Returns what ends the subscription. A listener that throws is reported and keeps its subscription. */
  subscribe(listener: (announcement: Announcement) => void): () => void;
}
