/**
 * The door by which `posthaste backup` asks the running process for a copy: a socket in the data folder that its owner
 * alone may open, who may read the database anyway. One line each way at a time: the file to copy, `copied`, the segments.
 * A connection that ends, at any moment, ends the copy.
 */
import { chmodSync, lstatSync, rmSync } from "node:fs";
import type { Server, Socket } from "node:net";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { DATABASE_FILE } from "@posthaste/shared/drivers/sqlite/database.ts";
import type { CopyHold } from "@posthaste/shared/drivers/sqlite/copy-hold.ts";
import type { EmbeddedDrivers } from "@posthaste/shared/drivers/embedded.ts";
import { whenWeExit } from "./exit-with-us.ts";

export const BACKUP_SOCKET = "backup.sock";
/** What the client says when it has read the file. */
export const COPIED = "copied\n";

/** What the process says. */
export type BackupLine =
  | { readonly kind: "copy"; readonly database: string }
  | { readonly kind: "segments"; readonly paths: readonly string[] }
  | { readonly kind: "refused"; readonly reason: string };

/** Null when the system takes no socket at this path, as where it is longer than about 100 bytes, or a folder is there. */
export async function openBackupSocket(
  folder: string,
  drivers: Pick<EmbeddedDrivers, "beginCopy">,
): Promise<AsyncDisposable | null> {
  const path = backupSocketPath(folder);
  const copies = new Map<Socket, CopyHold | null>();
  const server = createServer((socket) => {
    const hold = serveCopy(socket, folder, drivers);
    copies.set(socket, hold);
    socket.on("close", () => {
      copies.delete(socket);
      hold?.[Symbol.dispose]();
    });
  });
  // A stop in the middle of the start, or a second signal, ends the process at once. The database is still locked by us then.
  const forget = whenWeExit(() => {
    if (isSocket(path)) rmSync(path, { force: true });
  });
  if (!(await listens(server, path))) {
    forget();
    return null;
  }
  return {
    async [Symbol.asyncDispose]() {
      forget();
      const closed = new Promise((done) => server.close(done));
      for (const [socket, hold] of copies) {
        socket.destroy();
        hold?.[Symbol.dispose]();
      }
      await closed;
      rmSync(path, { force: true });
    },
  };
}

export function backupSocketPath(folder: string): string {
  return join(resolve(folder), BACKUP_SOCKET);
}

function isSocket(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true;
}

async function listens(server: Server, path: string): Promise<boolean> {
  // Bytes that a path may have in sockaddr_un (unix(7)); some runtimes cut what is longer.
  if (Buffer.byteLength(path) > 103) return false;
  const before = process.umask(0o177);
  try {
    // What lies there was left by a process that was killed: the database is locked by us.
    rmSync(path, { force: true });
    await new Promise<void>((done, failed) => {
      server.once("error", failed);
      server.listen(path, done);
    });
    chmodSync(path, 0o600);
    return true;
  } catch {
    return false;
  } finally {
    process.umask(before);
  }
}

/** The hold of the copy that has begun; null when it was refused. */
function serveCopy(socket: Socket, folder: string, drivers: Pick<EmbeddedDrivers, "beginCopy">): CopyHold | null {
  const say = (line: BackupLine): void => void socket.write(`${JSON.stringify(line)}\n`);
  socket.on("error", () => socket.destroy());
  const hold = orRefusal(() => drivers.beginCopy());
  if ("kind" in hold) {
    say(hold);
    socket.end();
    return null;
  }
  let heard = "";
  socket.setEncoding("utf8").on("data", (text: string) => {
    heard += text;
    if (heard === COPIED) say(orRefusal(() => ({ kind: "segments", paths: hold.finish() })));
    else if (!COPIED.startsWith(heard)) socket.destroy();
  });
  say({ kind: "copy", database: resolve(folder, DATABASE_FILE) });
  return hold;
}

function orRefusal<Result>(work: () => Result): Result | Extract<BackupLine, { kind: "refused" }> {
  try {
    return work();
  } catch (error) {
    return { kind: "refused", reason: error instanceof Error ? error.message : String(error) };
  }
}
