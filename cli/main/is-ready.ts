/**
 * What a container's health check runs: `bun cli/main/is-ready.ts PORT`. Ends with 0 when `/readyz` of that port says so, else with 1
 * and what it says. A file, because some engines split the words of a check at their spaces.
 */
const WITHIN_MS = 4000;

const [port = "8080"] = process.argv.slice(2);
try {
  const url = `http://127.0.0.1:${port}/readyz`;
  const response = await fetch(url, { signal: AbortSignal.timeout(WITHIN_MS) });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
