/** The board of alerts in one row: there is one process, and its alerts stand through a restart. */
import type { AlertBoard } from "../../ports/alert-board.ts";
import type { Database } from "./database.ts";
import type { GroupCommit } from "./group-commit.ts";

const ROW_BYTES = 4096;

export function createAlertBoard(options: { readonly database: Database; readonly writer: GroupCommit }): AlertBoard {
  const { database, writer } = options;
  const find = database.prepare<{ text: string }>("SELECT text FROM alert_board WHERE id = 1");
  const put = database.prepare("INSERT OR REPLACE INTO alert_board VALUES (1, ?)");
  const read = (): string | null => find.get()?.text ?? null;
  const write = (before: string | null, after: string): boolean => {
    if (read() !== before) return false;
    put.run(after);
    return true;
  };
  return {
    read: () => Promise.resolve(read()),
    replace: (before, after) => writer.write(() => write(before, after), ROW_BYTES),
  };
}
