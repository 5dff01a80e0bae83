/** Colours of the terminal (ECMA-48 SGR), or none when output is no terminal or NO_COLOR is set. */

type Paint = (text: string) => string;

export interface Palette {
  readonly bold: Paint;
  readonly dim: Paint;
  readonly green: Paint;
  readonly red: Paint;
  readonly cyan: Paint;
}

export function terminalPalette(): Palette {
  const { NO_COLOR: noColor } = process.env;
  return createPalette(process.stdout.isTTY && (noColor === undefined || noColor === ""));
}

function createPalette(isColored: boolean): Palette {
  const paint = (code: number, end: number) => (text: string) =>
    isColored ? `\u001B[${code}m${text}\u001B[${end}m` : text;
  return { bold: paint(1, 22), dim: paint(2, 22), green: paint(32, 39), red: paint(31, 39), cyan: paint(36, 39) };
}
