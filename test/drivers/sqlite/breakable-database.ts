/** A database whose statements throw as on a failing disk while `breaks` says so of their SQL. */
import type { Database, Statement } from "@posthaste/shared/drivers/sqlite/database.ts";

/** SQLITE_IOERR of sqlite3.h. */
const IO_ERROR = 10;

export function ioError(): Error {
  return Object.assign(new Error("disk I/O error"), { errcode: IO_ERROR });
}

export function createBreakable(inner: Database): { readonly database: Database; breaks: (sql: string) => boolean } {
  const state = { breaks: (_sql: string): boolean => false };
  const check = (sql: string): void => {
    if (state.breaks(sql)) throw ioError();
  };
  const database: Database = {
    prepare<Row>(sql: string): Statement<Row> {
      const statement = inner.prepare<Row>(sql);
      return {
        run: (...values) => (check(sql), statement.run(...values)),
        get: (...values) => (check(sql), statement.get(...values)),
        all: (...values) => (check(sql), statement.all(...values)),
      };
    },
    exec: (sql) => (check(sql), inner.exec(sql)),
    isInTransaction: () => inner.isInTransaction(),
  };
  return Object.assign(state, { database });
}
