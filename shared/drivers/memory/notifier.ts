/** Announcements within one process: every listener is called before `publish` returns. */
import type { Announcement, Notifier } from "../../ports/notifier.ts";

/** `onFault` gets what a listener threw; the listener keeps its subscription, and the others hear the announcement. */
export function createNotifier(options: { readonly onFault: (error: unknown) => void }): Notifier {
  const listeners = new Set<{ readonly hear: (announcement: Announcement) => void }>();
  return {
    publish(announcement) {
      // As they are now: who subscribes or leaves meanwhile is heard from the next announcement on.
      const now = Array.from(listeners);
      for (const { hear } of now) {
        try {
          hear(announcement);
        } catch (error) {
          options.onFault(error);
        }
      }
    },
    subscribe(listener) {
      // An entry for each subscription, so that the same function may listen twice and end one of them.
      const entry = { hear: listener };
      listeners.add(entry);
      return () => void listeners.delete(entry);
    },
  };
}
