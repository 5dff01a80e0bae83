/** What every page of ours looks like: its colours, light and dark, its text, and where the focus is. */
export const BASE_STYLE = `
:root {
  color-scheme: light dark;
  --ground: #ffffff; --raised: #f6f7f9; --line: #dfe3e8; --text: #1c2430; --quiet: #5a6675; --accent: #1d5fd1;
  --good: #11734b; --warn: #8a5a00; --bad: #b3261e; --odd: #6b3fa0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #10141a; --raised: #181e26; --line: #2b343f; --text: #e6ebf1; --quiet: #9aa7b5; --accent: #7fb0ff;
    --good: #5fd0a0; --warn: #e8b45a; --bad: #ff8f86; --odd: #c3a1f2;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 16px/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
a { color: var(--accent); text-underline-offset: 2px; }
a:focus-visible, summary:focus-visible, pre:focus-visible, button:focus-visible, input:focus-visible, select:focus-visible, textarea:focus-visible, [tabindex]:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
code, pre { font: 0.875em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
pre { margin: 0.5rem 0; padding: 0.75rem 1rem; background: var(--raised); border: 1px solid var(--line); border-radius: 6px; overflow-x: auto; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: 1rem; background: var(--ground); padding: 0.5rem; z-index: 1; }
.quiet { color: var(--quiet); }
`;
