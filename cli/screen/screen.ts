/** Where commands write: results to stdout, all else to stderr; colour and width as the terminal has them. */
import { styleText } from "node:util";
import type { Environment } from "@posthaste/shared/domain/config.ts";

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

/** One stream of the process. */
export interface Out {
  /** Resolves when the reader took it, so that a slow one holds the writer. */
  readonly write: (text: string) => Promise<void>;
  readonly isTerminal: boolean;
  /** Columns of the terminal. */
  readonly columns: () => number | undefined;
}

export interface Screen {
  /** The result: what a program reads. */
  readonly print: (text: string) => Promise<void>;
  /** What a person should know, one line; never part of the result. */
  readonly say: (line: string) => void;
  /** On stderr, over what stands there; only when it is a terminal. */
  readonly overwrite: (text: string) => void;
  readonly isTerminal: boolean;
  readonly isErrorTerminal: boolean;
  /** Of a result on a terminal; Infinity elsewhere. */
  readonly width: () => number;
  /** With colour where that is wanted, else as it is. */
  readonly styled: (style: Style, text: string) => string;
  readonly saidStyled: (style: Style, text: string) => string;
}

export function createScreen(stdout: Out, stderr: Out, env: Environment): Screen {
  const isPlain = (env["NO_COLOR"] ?? "") !== "" || env["TERM"] === "dumb";
  let isOver = false;
  const style = (out: Out) => (name: Style, text: string) =>
    out.isTerminal && !isPlain ? styleText(name, text, { validateStream: false }) : text;
  return {
    print: (text) => stdout.write(text),
    say(line) {
      void stderr.write(`${isOver ? "\r\x1b[K" : ""}${line}\n`);
      isOver = false;
    },
    overwrite(text) {
      if (!stderr.isTerminal) return;
      isOver = text !== "";
      void stderr.write(`\r\x1b[K${text}`);
    },
    isTerminal: stdout.isTerminal,
    isErrorTerminal: stderr.isTerminal,
    width: () => (stdout.isTerminal ? (stdout.columns() ?? 80) : Infinity),
    styled: style(stdout),
    saidStyled: style(stderr),
  };
}

/** A stream of the process as an `Out`. */
export function outOf(stream: NodeJS.WriteStream): Out {
  return {
    // The callback has an error when the reader is gone; whoever listens on the stream ends the process.
    write: (text) => new Promise((resolve) => void stream.write(text, () => resolve())),
    isTerminal: stream.isTTY,
    columns: () => stream.columns,
  };
}
