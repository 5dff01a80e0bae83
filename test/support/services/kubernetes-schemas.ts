/** `kubernetes-validate` of the Python package index, with Kubernetes' own schemas inside: fetched once into a folder that git ignores. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { requirePip } from "./debian-packages.ts";

const VERSION = "1.37.0";
/** The oldest that the chart is for, and the newest that this version knows. */
export const KUBERNETES_VERSIONS = ["1.27.0", "1.37.0"] as const;
const INSTALL_WITHIN_MS = 300_000;
const VALIDATE_WITHIN_MS = 60_000;

const cache = join(import.meta.dirname, "../../../node_modules/.cache/posthaste-kubernetes-validate");

/** What it says of a file of resources, a line for each; throws what is wrong. Kinds of others are named as unknown. */
export function validateResources(file: string, kubernetesVersion: string): readonly string[] {
  const words = ["-m", "kubernetes_validate", "--strict", "-k", kubernetesVersion, file];
  const { status, stdout, stderr } = spawnSync("python3", words, {
    env: { ...process.env, PYTHONPATH: requireKubernetesValidate() },
    encoding: "utf8",
    timeout: VALIDATE_WITHIN_MS,
  });
  if (status !== 0) throw new Error(`${file} is not valid for Kubernetes ${kubernetesVersion}:\n${stdout}${stderr}`);
  return `${stdout}${stderr}`.split("\n").filter((line) => line !== "");
}

/** Its folder. Fetches it when it is not there, saying so; throws with the remedy when it cannot. */
export function requireKubernetesValidate(): string {
  const folder = join(cache, VERSION);
  if (!existsSync(folder)) install(folder);
  return folder;
}

function install(folder: string): void {
  requirePip();
  console.log(`fetching kubernetes-validate ${VERSION} (23 MB, kept in node_modules/.cache)`);
  mkdirSync(cache, { recursive: true });
  const partial = mkdtempSync(join(cache, "install-"));
  try {
    const words = ["-m", "pip", "install", "-q", "--target", partial, `kubernetes-validate==${VERSION}`];
    const { status, stdout, stderr } = spawnSync("python3", words, { encoding: "utf8", timeout: INSTALL_WITHIN_MS });
    if (status !== 0) throw new Error(`give pip a way to its package index: ${(stdout + stderr).slice(-2_000)}`);
    if (!existsSync(folder)) renameSync(partial, folder);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}
