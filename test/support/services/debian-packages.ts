/**
 * The programs that the services and some tests are: used where they are installed; installed, saying so, as root on Debian and its
 * kin; and named with the remedy everywhere else.
 */
import { spawnSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";

interface Program {
  readonly binary: string;
  /** Debian packages of which each provides it; the first that the release has is installed. */
  readonly packages: readonly [string, ...string[]];
  /** Why the installed program is of no use, or "". */
  readonly complaint: () => string;
}

const INSTALL_WITHIN_MS = 300_000;
const ASK_WITHIN_MS = 20_000;
/** Debian asks this file whether a freshly installed service may start. */
const POLICY_FILE = "/usr/sbin/policy-rc.d";
const JAVA_MAJOR_MIN = 17;
/** From this version on Go fetches the toolchain that a module asks for. */
const GO_MINOR_MIN = 21;
/** Where Go's own archive is unpacked to, beside the PATH. */
export const GO_PATH = "/usr/local/go/bin";

const isRunnable = (binary: string, flag: string): string =>
  run(binary, [flag], ASK_WITHIN_MS).isOk ? "" : `${binary} was not found`;

const programs = {
  redis: {
    binary: "redis-server",
    packages: ["redis-server"],
    complaint: () => isRunnable("redis-server", "--version") || isRunnable("redis-cli", "--version"),
  },
  java: {
    binary: "java",
    packages: ["openjdk-17-jre-headless", "openjdk-21-jre-headless", "default-jre-headless"],
    complaint: () => {
      const { isOk, output } = run("java", ["-version"], ASK_WITHIN_MS);
      if (!isOk) return "java was not found";
      const major = Number(/version "(\d+)/.exec(output)?.[1]);
      return major >= JAVA_MAJOR_MIN ? "" : `java is of version ${major}, and Kafka needs ${JAVA_MAJOR_MIN}`;
    },
  },
  promClient: {
    binary: "/usr/bin/python3",
    packages: ["python3-prometheus-client"],
    complaint: () =>
      run("/usr/bin/python3", ["-c", "import prometheus_client.openmetrics.parser"], ASK_WITHIN_MS).isOk
        ? ""
        : "the module prometheus_client of /usr/bin/python3 was not found",
  },
  promtool: { binary: "promtool", packages: ["prometheus"], complaint: () => isRunnable("promtool", "--version") },
  go: {
    binary: "go",
    packages: ["golang-go"],
    complaint: () => {
      const { isOk, output } = run("go", ["version"], ASK_WITHIN_MS);
      if (!isOk) return "go was not found";
      const minor = Number(/go1\.(\d+)/.exec(output)?.[1]);
      return minor >= GO_MINOR_MIN
        ? ""
        : `go is of version 1.${minor}, and what is built with it needs 1.${GO_MINOR_MIN} or newer`;
    },
  },
  javac: {
    binary: "javac",
    packages: ["openjdk-17-jdk-headless", "openjdk-21-jdk-headless", "default-jdk-headless"],
    complaint: () => isRunnable("javac", "-version"),
  },
  ruby: { binary: "ruby", packages: ["ruby"], complaint: () => isRunnable("ruby", "--version") },
  php: { binary: "php", packages: ["php-cli"], complaint: () => isRunnable("php", "--version") },
  chromium: { binary: "chromium", packages: ["chromium"], complaint: () => isRunnable("chromium", "--version") },
  pip: {
    binary: "python3",
    packages: ["python3-pip"],
    complaint: () =>
      run("python3", ["-m", "pip", "--version"], ASK_WITHIN_MS).isOk ? "" : "the module pip of python3 was not found",
  },
  maven: { binary: "mvn", packages: ["maven"], complaint: () => isRunnable("mvn", "--version") },
} as const satisfies Record<string, Program>;

/** Those that a Redis and a Kafka elsewhere make unnecessary. */
const services: ReadonlySet<Program> = new Set([programs.redis, programs.java, programs.maven]);
const found = new Set<Program>();

/** redis-server and redis-cli. */
export const requireRedis = (): void => requireProgram(programs.redis);
export const requireJava = (): void => requireProgram(programs.java);
/** The Python client of the Prometheus project, for its parsers; of the interpreter at `/usr/bin/python3`. */
export const requirePromClient = (): void => requireProgram(programs.promClient);
/** The Prometheus project's own check of rules and settings. */
export const requirePromtool = (): void => requireProgram(programs.promtool);
/** For the collector of OpenTelemetry and for Helm, which are built from their modules. */
export const requireGo = (): void => requireProgram(programs.go);
/** For the examples of docs/receiving.md. */
export const requireJavac = (): void => requireProgram(programs.javac);
export const requireRuby = (): void => requireProgram(programs.ruby);
export const requirePhp = (): void => requireProgram(programs.php);
/** For the tests of the pages. */
export const requireChromium = (): void => requireProgram(programs.chromium);
/** For what validates resources of Kubernetes. */
export const requirePip = (): void => requireProgram(programs.pip);
export const requireMaven = (): void => requireProgram(programs.maven);

/** What a start of the services would install on this machine by apt-get; asks for each program once more. */
export function missingPackages(needsMaven: boolean): readonly string[] {
  const needed = [programs.redis, programs.java, ...(needsMaven ? [programs.maven] : [])];
  return needed.filter((program) => program.complaint() !== "").map(({ packages: [name] }) => name);
}

function requireProgram(program: Program): void {
  if (found.has(program)) return;
  const complaint = program.complaint();
  if (complaint !== "") install(program, complaint);
  found.add(program);
}

/** Works without waiting for the event loop: two installations at a time would meet at dpkg's lock. */
function install(program: Program, complaint: string): void {
  const service = services.has(program) ? ", or name running services by REDIS_URL and KAFKA_BROKERS" : "";
  const remedy = `install the package ${program.packages[0]}${service}`;
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) throw new Error(`${complaint}: ${remedy}`);
  const installed = aptInstall(program.packages);
  const left = program.complaint();
  if (left !== "") throw new Error(`${left}, and apt-get could not help: ${remedy}\n${installed.slice(-1_000)}`);
}

/** The output of the last step. Asks for new package lists only when the release's own do not have the package. */
function aptInstall(packages: readonly string[]): string {
  const offered = (): string | undefined =>
    packages.find((name) => run("apt-cache", ["show", name], ASK_WITHIN_MS).isOk);
  const attempt = (): { readonly isOk: boolean; readonly output: string } => {
    const name = offered();
    if (name === undefined) return { isOk: false, output: `no package ${packages.join(" or ")}` };
    console.log(`installing the Debian package ${name}, which the tests need`);
    return withoutStartingServices(() =>
      run(
        "apt-get",
        ["install", "-o", "DPkg::Lock::Timeout=120", "-y", "-q", "--no-install-recommends", name],
        INSTALL_WITHIN_MS,
      ),
    );
  };
  const first = attempt();
  if (first.isOk) return first.output;
  console.log("bringing Debian's package lists up to date");
  const update = run("apt-get", ["update", "-q"], INSTALL_WITHIN_MS);
  return update.isOk ? attempt().output : update.output;
}

/** A policy that is already there is the machine's own, and stays. */
function withoutStartingServices<T>(work: () => T): T {
  if (existsSync(POLICY_FILE)) return work();
  writeFileSync(POLICY_FILE, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    return work();
  } finally {
    rmSync(POLICY_FILE, { force: true });
  }
}

function run(binary: string, args: readonly string[], withinMs: number): { isOk: boolean; output: string } {
  const { status, stdout, stderr } = spawnSync(binary, args, {
    env: { ...process.env, PATH: `${process.env["PATH"] ?? ""}:${GO_PATH}`, DEBIAN_FRONTEND: "noninteractive" },
    stdio: ["ignore", "pipe", "pipe"],
    encoding: "utf8",
    timeout: withinMs,
    killSignal: "SIGKILL",
  });
  return { isOk: status === 0, output: `${stdout ?? ""}${stderr ?? ""}` };
}
