/** The other end of `backup-socket.ts`: asks the running process of a data folder for a copy of its database. */
import { connect } from "node:net";
import type { Socket } from "node:net";
import type { BackupLine } from "./backup-socket.ts";
import { COPIED, backupSocketPath } from "./backup-socket.ts";

export interface CopyConnection extends Disposable {
  /** The file to copy, which the process goes on writing to. */
  readonly database: string;
  /** Call it when the file is read: what to put over the copy, in order, as long as the connection is open. */
  segments(): Promise<readonly string[]>;
}

/** Null when no process listens there. Throws what the process answers when it cannot be copied now. */
export async function connectForCopy(folder: string): Promise<CopyConnection | null> {
  const socket = await connected(backupSocketPath(folder));
  if (socket === null) return null;
  const lines = linesOf(socket);
  try {
    const line = await nextLine(lines);
    if (line.kind !== "copy") throw new Error("The running process said something unexpected. Is it another version?");
    return {
      database: line.database,
      async segments() {
        socket.write(COPIED);
        const answer = await nextLine(lines);
        if (answer.kind !== "segments") throw new Error("The running process did not end the copy.");
        return answer.paths;
      },
      [Symbol.dispose]: () => void socket.destroy(),
    };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function connected(path: string): Promise<Socket | null> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("connect", () => resolve(socket));
    socket.once("error", (error: NodeJS.ErrnoException) => {
      const isNobody = error.code === "ENOENT" || error.code === "ECONNREFUSED" || error.code === "EINVAL";
      if (isNobody || error.code === "ENAMETOOLONG") return resolve(null);
      reject(new Error(`${path} cannot be opened (${error.message}). Run the backup as the user of the process.`));
    });
  });
}

async function* linesOf(socket: Socket): AsyncGenerator<string, undefined> {
  let text = "";
  for await (const chunk of socket.setEncoding("utf8") as AsyncIterable<string>) {
    text += chunk;
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n")) {
      yield text.slice(0, end);
      text = text.slice(end + 1);
    }
  }
  return undefined;
}

async function nextLine(lines: AsyncGenerator<string, undefined>): Promise<BackupLine> {
  const next = await lines.next().catch(() => ({ done: true, value: undefined }));
  if (next.value === undefined)
    throw new Error("The running process ended before the copy did. Start the backup again.");
  const line = JSON.parse(next.value) as BackupLine;
  if (line.kind === "refused") throw new Error(`The running process refuses: ${line.reason}`);
  return line;
}
