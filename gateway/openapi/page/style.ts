/** The style of `/docs`. Its hash stands in the page's policy, so that it alone is applied. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ground: #ffffff; --raised: #f6f7f9; --line: #dfe3e8; --text: #1c2430; --quiet: #5a6675; --accent: #1d5fd1;
  --get: #1d5fd1; --post: #11734b; --patch: #8a5a00; --delete: #b3261e; --hook: #6b3fa0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #10141a; --raised: #181e26; --line: #2b343f; --text: #e6ebf1; --quiet: #9aa7b5; --accent: #7fb0ff;
    --get: #7fb0ff; --post: #5fd0a0; --patch: #e8b45a; --delete: #ff8f86; --hook: #c3a1f2;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0; background: var(--ground); color: var(--text); font: 16px/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
a { color: var(--accent); text-underline-offset: 2px; }
a:focus-visible, summary:focus-visible, pre:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
code, pre { font: 0.875em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
pre { margin: 0.5rem 0; padding: 0.75rem 1rem; background: var(--raised); border: 1px solid var(--line); border-radius: 6px; overflow-x: auto; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 0.5rem; }
h2 { font-size: 1.375rem; margin: 3.5rem 0 0.25rem; }
h3 { font-size: 1.0625rem; margin: 0; }
h4 { font-size: 0.875rem; margin: 1.25rem 0 0.25rem; color: var(--quiet); font-weight: 600; }
p { margin: 0.5rem 0; max-width: 44rem; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: 1rem; background: var(--ground); padding: 0.5rem; z-index: 1; }
.quiet { color: var(--quiet); }
nav.wide { display: none; }
nav.narrow { margin: 1.5rem 0 0; padding: 0.75rem 1rem; border: 1px solid var(--line); border-radius: 8px; }
nav summary { cursor: pointer; font-weight: 600; padding: 0.25rem 0; }
nav ul { list-style: none; margin: 0.125rem 0 0.75rem; padding: 0; }
nav li a { display: block; padding: 0.375rem 0; color: inherit; text-decoration: none; font-size: 0.875rem; }
nav li a:hover { color: var(--accent); }
nav strong { display: block; margin-top: 0.75rem; font-size: 0.8125rem; }
main { padding: 1.5rem 1.25rem 6rem; min-width: 0; }
article { margin: 1.25rem 0; padding: 1.25rem; border: 1px solid var(--line); border-radius: 8px; }
article:target { border-color: var(--accent); }
.call { display: flex; flex-wrap: wrap; gap: 0.25rem 0.625rem; align-items: baseline; margin: 0.25rem 0 0; }
.method { font-weight: 700; }
.get { color: var(--get); } .post { color: var(--post); } .patch { color: var(--patch); } .delete { color: var(--delete); } .hook { color: var(--hook); }
dl { margin: 0; border-top: 1px solid var(--line); }
dl > div { padding: 0.5rem 0; border-bottom: 1px solid var(--line); }
dt { display: flex; flex-wrap: wrap; gap: 0 0.625rem; align-items: baseline; }
dt code { font-weight: 600; }
dd { margin: 0; font-size: 0.9375rem; max-width: 48rem; }
dd dl { margin: 0.375rem 0 0 0; padding-left: 0.875rem; border-top: 0; border-left: 2px solid var(--line); }
dd dl > div:last-child { border-bottom: 0; }
.kind { font-size: 0.8125rem; color: var(--quiet); }
.needed { font-size: 0.8125rem; color: var(--delete); }
.bounds { font-size: 0.8125rem; color: var(--quiet); overflow-wrap: anywhere; }
.answer { border-bottom: 1px solid var(--line); }
.answer summary { cursor: pointer; padding: 0.5rem 0; font-size: 0.9375rem; }
.answer[open] { padding-bottom: 0.75rem; }
.status { font-weight: 700; margin-right: 0.375rem; }
@media (min-width: 60rem) {
  .page { display: grid; grid-template-columns: 17rem minmax(0, 1fr); max-width: 80rem; margin: 0 auto; }
  nav.narrow { display: none; }
  nav.wide { display: block; position: sticky; top: 0; height: 100vh; overflow-y: auto; border-right: 1px solid var(--line); padding: 1.25rem; }
  nav.wide li a { padding: 0.1875rem 0; }
  main { padding: 2rem 2.5rem 6rem; }
}
@media print { nav.wide, nav.narrow { display: none; } }
`;
