/** The style of `/docs`. Its hash stands in the page's policy, so that it alone is applied. */
import { BASE_STYLE } from "../../html/base-style.ts";

export const STYLE = `${BASE_STYLE}
html { scroll-padding-top: 1rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 0.5rem; }
h2 { font-size: 1.375rem; margin: 3.5rem 0 0.25rem; }
h3 { font-size: 1.0625rem; margin: 0; }
h4 { font-size: 0.875rem; margin: 1.25rem 0 0.25rem; color: var(--quiet); font-weight: 600; }
p { margin: 0.5rem 0; max-width: 44rem; }
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
.get { color: var(--accent); } .post { color: var(--good); } .patch { color: var(--warn); } .delete { color: var(--bad); } .hook { color: var(--odd); }
dl { margin: 0; border-top: 1px solid var(--line); }
dl > div { padding: 0.5rem 0; border-bottom: 1px solid var(--line); }
dt { display: flex; flex-wrap: wrap; gap: 0 0.625rem; align-items: baseline; }
dt code { font-weight: 600; }
dd { margin: 0; font-size: 0.9375rem; max-width: 48rem; }
dd dl { margin: 0.375rem 0 0 0; padding-left: 0.875rem; border-top: 0; border-left: 2px solid var(--line); }
dd dl > div:last-child { border-bottom: 0; }
.kind { font-size: 0.8125rem; color: var(--quiet); }
.needed { font-size: 0.8125rem; color: var(--bad); }
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
