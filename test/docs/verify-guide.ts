/**
 * The code of docs/receiving.md that verifies, as a program in each of its languages: a line for each request on its standard input,
 * its id, timestamp, signatures and body in base64 with tabs between, gives a line with what was wrong, empty when it is genuine.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NODE_24 } from "../support/other-runtimes.ts";
import { GO_PATH, requireGo, requireJavac, requirePhp, requireRuby } from "../support/services/debian-packages.ts";

const RUN_WITHIN_MS = 100_000;

interface Language {
  /** Of its block in the guide. */
  readonly fence: string;
  readonly requireProgram: () => void;
  /** The files beside `code`, and the command in their folder. */
  readonly program: (secret: string) => {
    readonly code: string;
    readonly main: readonly [string, string];
    readonly command: readonly [string, ...string[]];
  };
}

const none = (): void => undefined;

export const LANGUAGES: Readonly<Record<string, Language>> = {
  Node: {
    fence: "ts",
    requireProgram: none,
    program: (secret) => ({ code: "verify.ts", main: ["main.ts", nodeMain(secret)], command: [NODE_24, "main.ts"] }),
  },
  Python: {
    fence: "python",
    requireProgram: none,
    program: (secret) => ({
      code: "verify.py",
      main: ["main.py", pythonMain(secret)],
      command: ["python3", "main.py"],
    }),
  },
  Go: {
    fence: "go",
    requireProgram: requireGo,
    program: (secret) => ({
      code: "verify.go",
      main: ["main.go", goMain(secret)],
      command: ["go", "run", "main.go", "verify.go"],
    }),
  },
  Ruby: {
    fence: "ruby",
    requireProgram: requireRuby,
    program: (secret) => ({ code: "verify.rb", main: ["main.rb", rubyMain(secret)], command: ["ruby", "main.rb"] }),
  },
  PHP: {
    fence: "php",
    requireProgram: requirePhp,
    program: (secret) => ({ code: "verify.php", main: ["main.php", phpMain(secret)], command: ["php", "main.php"] }),
  },
  Java: {
    fence: "java",
    requireProgram: requireJavac,
    program: (secret) => ({
      code: "Webhooks.java",
      main: ["Main.java", javaMain(secret)],
      command: ["sh", "-c", "javac Main.java Webhooks.java && java Main"],
    }),
  },
};

/** What the guide's code says of each request. */
export function verdictsOf({ fence, requireProgram, program }: Language, secret: string, lines: readonly string[]) {
  requireProgram();
  const folder = mkdtempSync(join(tmpdir(), "posthaste-guide-"));
  try {
    const { code, main, command } = program(secret);
    writeFileSync(join(folder, code), codeOf(fence));
    writeFileSync(join(folder, main[0]), main[1]);
    const [binary, ...words] = command;
    const { status, stdout, stderr, error } = spawnSync(binary, words, {
      cwd: folder,
      env: { ...process.env, PATH: `${process.env["PATH"] ?? ""}:${GO_PATH}` },
      input: lines.map((line) => `${line}\n`).join(""),
      encoding: "utf8",
      timeout: RUN_WITHIN_MS,
    });
    if (status !== 0) throw new Error(`${command.join(" ")} ended with ${status}: ${error?.message ?? ""}\n${stderr}`);
    return stdout.split("\n").slice(0, lines.length);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function codeOf(fence: string): string {
  const guide = readFileSync(join(import.meta.dirname, "../../docs/receiving.md"), "utf8");
  const code = new RegExp(`^\`\`\`${fence} verify\\n([\\s\\S]*?)^\`\`\`$`, "m").exec(guide)?.[1];
  if (code === undefined) throw new Error(`docs/receiving.md has no block of ${fence} that verifies`);
  return code;
}

const nodeMain = (secret: string): string => `
import { readFileSync } from "node:fs";
import { verify } from "./verify.ts";
for (const line of readFileSync(0, "utf8").trimEnd().split("\\n")) {
  const [id, timestamp, signature, body] = line.split("\\t");
  const headers = { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature };
  try {
    verify("${secret}", headers, Buffer.from(body, "base64"));
    console.log("");
  } catch (error) {
    console.log(error.message);
  }
}
`;

const pythonMain = (secret: string): string => `
import base64, sys
from verify import verify
for line in sys.stdin:
    *values, body = line.rstrip("\\n").split("\\t")
    headers = dict(zip(("webhook-id", "webhook-timestamp", "webhook-signature"), values))
    try:
        verify("${secret}", headers, base64.b64decode(body))
        print()
    except ValueError as error:
        print(error)
`;

const goMain = (secret: string): string => `package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"strings"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		values := strings.Split(lines.Text(), "\\t")
		header := http.Header{}
		for index, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
			header.Set(name, values[index])
		}
		body, _ := base64.StdEncoding.DecodeString(values[3])
		if err := Verify("${secret}", header, body); err != nil {
			fmt.Println(err)
		} else {
			fmt.Println()
		}
	}
}
`;

const rubyMain = (secret: string): string => `
require_relative "verify"
$stdin.each_line(chomp: true) do |line|
  *values, body = line.split("\\t")
  headers = ["webhook-id", "webhook-timestamp", "webhook-signature"].zip(values).to_h
  begin
    verify("${secret}", headers, body.unpack1("m"))
    puts
  rescue ArgumentError => error
    puts error.message
  end
end
`;

const phpMain = (secret: string): string => `<?php
require "verify.php";
while (($line = fgets(STDIN)) !== false) {
    [$id, $timestamp, $signature, $body] = explode("\\t", rtrim($line, "\\n"));
    $headers = ["webhook-id" => $id, "webhook-timestamp" => $timestamp, "webhook-signature" => $signature];
    try {
        verify("${secret}", $headers, base64_decode($body));
        echo "\\n";
    } catch (RuntimeException $error) {
        echo $error->getMessage(), "\\n";
    }
}
`;

const javaMain = (secret: string): string => `
import java.util.Base64;
import java.util.Map;
import java.util.Scanner;

final class Main {
  public static void main(String[] words) throws Exception {
    Scanner lines = new Scanner(System.in);
    while (lines.hasNextLine()) {
      String[] values = lines.nextLine().split("\\t");
      Map<String, String> headers = Map.of(
          "webhook-id", values[0], "webhook-timestamp", values[1], "webhook-signature", values[2]);
      try {
        Webhooks.verify("${secret}", headers, Base64.getDecoder().decode(values[3]));
        System.out.println();
      } catch (SecurityException error) {
        System.out.println(error.getMessage());
      }
    }
  }
}
`;
