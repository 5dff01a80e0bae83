/** Reads `/metrics` by the parsers of the Prometheus project, in its Python client: none of ours. */
import { execFile } from "node:child_process";
import type { MetricsFormat } from "@posthaste/shared/domain/metrics-format.ts";
import { requirePromClient } from "./services/debian-packages.ts";

export interface ParsedFamily {
  /** As the parser has it: without the ending of its samples. */
  readonly name: string;
  readonly type: string;
  readonly unit: string;
  readonly help: string;
  readonly samples: readonly {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly value: number;
  }[];
}

const PROGRAM = `
import json, sys
from prometheus_client import parser as plain
from prometheus_client.openmetrics import parser as strict
parse = {"prometheus": plain, "openmetrics": strict}[sys.argv[1]].text_string_to_metric_families
print(json.dumps([
  {"name": f.name, "type": f.type, "unit": f.unit, "help": f.documentation,
   "samples": [{"name": s.name, "labels": s.labels, "value": s.value} for s in f.samples]}
  for f in parse(sys.stdin.read())]))
`;

/** Rejects with what the parser says of a text that is not valid. Others go on meanwhile: a receiver may live in this process. */
export async function parseMetrics(text: string, format: MetricsFormat): Promise<readonly ParsedFamily[]> {
  requirePromClient();
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const child = execFile(
    "/usr/bin/python3",
    ["-c", PROGRAM, format],
    { maxBuffer: 64 * 1024 ** 2 },
    (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`the parser refuses the text: ${stderr.trim().split("\n").at(-1)}`));
    },
  );
  child.stdin?.end(text);
  return JSON.parse(await promise) as ParsedFamily[];
}
