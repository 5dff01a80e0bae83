import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { exampleTests } from "./example-programs.ts";

const folder = join(import.meta.dirname, "../../examples/python");

/** The real binary: a shim of a version manager may look at the folder or the environment, which the tests change. */
function python(): string {
  const found = spawnSync("python3", ["-c", "import sys; print(sys.executable)"], { encoding: "utf8" });
  if (found.status === 0) return found.stdout.trim();
  throw new Error(
    "python3 is needed to run examples/python: install Python 3.9 or newer (Debian: apt-get install python3).",
  );
}

exampleTests({
  name: "Python",
  runner: python,
  publisher: join(folder, "publisher.py"),
  receiver: join(folder, "receiver.py"),
});
