/** What a check found: one fact of the installation, and what to do where it is not as it should be. */

export interface Finding {
  /** `wrong` does not start or loses something; `risky` works, and may not be meant. */
  readonly level: "fine" | "risky" | "wrong";
  /** What it is about: a setting, a file, a store. */
  readonly about: string;
  /** A sentence without its full stop. */
  readonly what: string;
  /** A sentence; null where nothing is to be done. */
  readonly remedy: string | null;
}

export function fine(about: string, what: string): Finding {
  return { level: "fine", about, what, remedy: null };
}

export function risky(about: string, what: string, remedy: string): Finding {
  return { level: "risky", about, what, remedy };
}

export function wrong(about: string, what: string, remedy: string): Finding {
  return { level: "wrong", about, what, remedy };
}

/**
 * Of a sentence that a program would end with: what is wrong, and behind its first full stop, or else its first colon or semicolon, the
 * remedy.
 */
export function findingOf(level: "risky" | "wrong", about: string, sentence: string): Finding {
  const [, what = sentence, rest = ""] = /^(.*?)\. (.+)$/s.exec(sentence) ?? /^(.*?)[:;] (.+)$/s.exec(sentence) ?? [];
  const said = what.startsWith(`${about} `) ? what.slice(about.length + 1) : what;
  return { level, about, what: said.replace(/\.$/, ""), remedy: rest === "" ? null : asSentence(rest) };
}

function asSentence(text: string): string {
  const whole = /[.?!]$/.test(text) ? text : `${text}.`;
  return `${whole.charAt(0).toUpperCase()}${whole.slice(1)}`;
}
