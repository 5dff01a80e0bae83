/** `posthaste completion`: the script by which a shell completes words of this program. */
import type { Command } from "../words/command.ts";
import { defineCommand } from "../words/command.ts";
import { completionScript } from "../words/completion-script.ts";
import { WrongWords } from "../words/option.ts";

export function completion(all: () => readonly Command[]): readonly Command[] {
  const print = defineCommand({
    name: "completion",
    summary: "prints the script by which bash or zsh completes the words of posthaste",
    operands: [{ name: "SHELL", summary: "bash or zsh" }],
    options: {},
    examples: [
      "posthaste completion bash > ~/.local/share/bash-completion/completions/posthaste",
      "source <(posthaste completion zsh)",
    ],
    async run({ operands: [shell = ""] }, { screen }) {
      if (shell !== "bash" && shell !== "zsh") throw new WrongWords("completion knows bash and zsh");
      await screen.print(completionScript(all(), shell));
      return 0;
    },
  });
  return [print];
}
