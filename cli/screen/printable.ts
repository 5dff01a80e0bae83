/** Text of others on a terminal: no escape of theirs reaches it, and its width is counted as it is drawn. */

/** Controls of C0 and C1, and what changes the direction or order of text (Unicode TR 36, "Bidirectional text spoofing"). */
const HARMFUL = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
const NAMES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
/** Drawn two columns wide: East Asian wide blocks and emoji. */
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;
const NO_WIDTH = /^\p{Mark}+$/u;

const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });

/** Characters that a terminal would obey are shown by their code. */
export function printable(text: string): string {
  return text.replaceAll(HARMFUL, (character) => NAMES[character] ?? `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

export function widthOf(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of segmenter.segment(text)) width += widthOfOne(segment);
  return width;
}

/** At most `width` columns; what is left out is told by `…`. */
export function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let [kept, used] = ["", 0];
  for (const { segment } of segmenter.segment(text)) {
    used += widthOfOne(segment);
    if (used > width - 1) break;
    kept += segment;
  }
  return `${kept}…`;
}

function widthOfOne(segment: string): number {
  if (NO_WIDTH.test(segment)) return 0;
  return WIDE.test(segment) ? 2 : 1;
}
