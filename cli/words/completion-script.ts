/** Completion for bash and zsh, made of the table of commands: no program runs while a word is completed. Pure. */
import type { Command } from "./command.ts";

const PROGRAM = "posthaste";

/** zsh runs the script of bash by its own `bashcompinit`. */
export function completionScript(commands: readonly Command[], shell: "bash" | "zsh"): string {
  const head =
    shell === "zsh" ? "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n" : "";
  return `# ${PROGRAM} completion ${shell}
${head}_${PROGRAM}() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local first="\${COMP_WORDS[1]}" second="\${COMP_WORDS[2]}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then words="${firstWords(commands).join(" ")}"
  else
    case "$first" in
${groupsOf(commands).map(groupCase).join("\n")}
${commands
  .filter(({ name }) => !name.includes(" "))
  .map((command) => leafCase(command.name, command, "      "))
  .join("\n")}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _${PROGRAM} ${PROGRAM}
`;
}

function firstWords(commands: readonly Command[]): readonly string[] {
  return [...new Set(commands.map(({ name }) => name.split(" ")[0] ?? name)), "help", "--version"];
}

interface Group {
  readonly name: string;
  readonly commands: readonly Command[];
}

function groupsOf(commands: readonly Command[]): readonly Group[] {
  const names = new Set(
    commands.filter(({ name }) => name.includes(" ")).map(({ name }) => name.split(" ")[0] ?? name),
  );
  return [...names].map((name) => ({ name, commands: commands.filter((one) => one.name.startsWith(`${name} `)) }));
}

function groupCase({ name, commands }: Group): string {
  const seconds = commands.map((one) => one.name.slice(name.length + 1));
  const leaves = commands.map((one) => leafCase(one.name.slice(name.length + 1), one, "          "));
  return `      ${name})
        if [ "$COMP_CWORD" -eq 2 ]; then words="${seconds.join(" ")}"
        else
          case "$second" in
${leaves.join("\n")}
          esac
        fi ;;`;
}

/** After an option with a closed set of values these are offered, after one with a free value nothing but files. */
function leafCase(word: string, { name, operands, options }: Command, indent: string): string {
  const names = [...Object.keys(options).map((option) => `--${option}`), "--help"];
  const shells = name === "completion" ? ["bash", "zsh"] : [];
  const values = Object.entries(options)
    .filter(([, { placeholder }]) => placeholder !== null)
    .map(([option, { choices }]) => `--${option}) words="${choices.join(" ")}" ;;`);
  const own = [...names, ...(operands.length === 0 ? [] : shells)].join(" ");
  return `${indent}${word}) case "$previous" in ${values.join(" ")} *) words="${own}" ;; esac ;;`;
}
