/**
 * Ends what this process started, however this process ends: also by SIGKILL, by which no handler runs. A small shell
 * reads from a pipe which process ids and folders exist; the end of the pipe is the end of this process. A clean end
 * of a service strikes it off the list, so that an id the system has given away again is never killed.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";

export interface Reaper {
  /** The process with this id, or the group of the one whose id this is the negative of, until it is struck off. */
  watchProcess(id: number): void;
  forgetProcess(id: number): void;
  /** A folder below the system's temporary folder, removed after the processes. */
  watchFolder(path: string): void;
  forgetFolder(path: string): void;
}

/** `+` adds a line's subject, `-` strikes it off; what is left at the end of the input is killed and removed. */
const SCRIPT = `
trap '' INT TERM HUP
ids= folders=
drop() { kept=; for one in $1; do [ "$one" = "$2" ] || kept="$kept $one"; done; echo "$kept"; }
while read -r verb kind subject; do
  case "$verb$kind" in
    +process) ids="$ids $subject" ;;
    -process) ids=$(drop "$ids" "$subject") ;;
    +folder) folders="$folders $subject" ;;
    -folder) folders=$(drop "$folders" "$subject") ;;
  esac
done
for id in $ids; do kill -KILL "$id" 2>/dev/null; done
[ -z "$ids" ] || sleep 0.2
for folder in $folders; do rm -rf "$folder"; done
`;

let shell: ChildProcess | undefined;
const watched = new Set<string>();

export const reaper: Reaper = {
  watchProcess: (id) => add(`process ${id}`),
  forgetProcess: (id) => remove(`process ${id}`),
  watchFolder: (path) => add(`folder ${path}`),
  forgetFolder: (path) => remove(`folder ${path}`),
};

function add(subject: string): void {
  if (/\s.*\s|[*?[\n]/.test(subject)) throw new Error(`the reaper takes no path with spaces or wildcards: ${subject}`);
  watched.add(subject);
  shell ??= spawn("sh", ["-c", SCRIPT], { detached: true, stdio: ["pipe", "ignore", "inherit"] });
  shell.stdin?.write(`+ ${subject}\n`);
}

function remove(subject: string): void {
  if (!watched.delete(subject)) return;
  shell?.stdin?.write(`- ${subject}\n`);
  if (watched.size > 0) return;
  // With nothing to watch the shell ends, so that it never keeps this process from ending.
  shell?.stdin?.end();
  shell = undefined;
}
