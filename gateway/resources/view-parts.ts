/** What all JSON views share: RFC 3339 times, lists, and text that is JSON already. */
import type { Page } from "@posthaste/shared/ports/dead-letters.ts";

export function instantText(atMs: number): string;
export function instantText(atMs: number | null): string | null;
export function instantText(atMs: number | null): string | null {
  return atMs === null ? null : new Date(atMs).toISOString();
}

export function listView<Row>(page: Page<Row>, show: (row: Row) => unknown): object {
  return { data: page.rows.map(show), next_cursor: page.next };
}

/** The view as JSON with one more member, whose value is JSON text that must not be read and written again. */
export function withRawMember(view: object, name: string, rawJson: string): string {
  const text = JSON.stringify(view);
  return `${text.slice(0, -1)}${text === "{}" ? "" : ","}${JSON.stringify(name)}:${rawJson}}`;
}
