/** The stylesheet of the dashboard: that of every page of ours, and what tables, forms and states need. */
import { BASE_STYLE } from "../html/base-style.ts";

export const STYLE = `${BASE_STYLE}
:root { --field: #8a95a3; --main: #1d5fd1; --on-main: #ffffff; --danger: #b3261e; --on-danger: #ffffff; --good-ground: #e7f5ee; --bad-ground: #fdecea; --odd-ground: #fdf3e0; --plain-ground: #eef1f4; --warm: #8a5a00; }
@media (prefers-color-scheme: dark) {
  :root { --field: #6d7a89; --main: #2a63c9; --on-main: #ffffff; --danger: #b3382f; --on-danger: #ffffff; --good-ground: #12301f; --bad-ground: #3a1a18; --odd-ground: #352711; --plain-ground: #222b35; --warm: #e8b45a; }
}
html { scroll-padding-top: 1rem; }
body { font-size: 15px; line-height: 1.5; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.0625rem; margin: 2rem 0 0.5rem; }
h3 { font-size: 0.9375rem; margin: 1.25rem 0 0.375rem; }
p { margin: 0.5rem 0; max-width: 46rem; }
.unseen { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
header { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; align-items: center; padding: 0 1.25rem; border-bottom: 1px solid var(--line); background: var(--raised); }
.brand { font-weight: 700; color: var(--text); text-decoration: none; padding: 0.75rem 0; }
header nav { display: flex; gap: 0.125rem; overflow-x: auto; }
header nav a { padding: 0.75rem 0.625rem; color: var(--text); text-decoration: none; white-space: nowrap; border-bottom: 2px solid transparent; font-size: 0.9375rem; }
header nav a:hover { color: var(--accent); }
header nav a[aria-current] { border-color: var(--accent); font-weight: 600; }
header nav a:focus-visible { outline-offset: -3px; }
.back { font-size: 0.875rem; padding: 0.75rem 0; }
.back::before { content: "\\2190\\00a0"; }
.account { display: flex; gap: 0.625rem; align-items: center; margin-left: auto; font-size: 0.8125rem; padding: 0.375rem 0; }
main { max-width: 82rem; margin: 0 auto; padding: 1.5rem 1.25rem 5rem; }
main:focus { outline: none; }
.lead { display: flex; flex-wrap: wrap; gap: 0.5rem 1rem; align-items: center; justify-content: space-between; margin: 0 0 1rem; max-width: none; }
button, .button { font: inherit; font-size: 0.875rem; line-height: 1.4; padding: 0.3125rem 0.75rem; border: 1px solid var(--field); border-radius: 6px; background: var(--ground); color: var(--text); cursor: pointer; text-decoration: none; display: inline-block; }
button:hover, .button:hover { border-color: var(--accent); }
button.main, .button.main { background: var(--main); border-color: var(--main); color: var(--on-main); font-weight: 600; }
button.danger { background: var(--danger); border-color: var(--danger); color: var(--on-danger); font-weight: 600; }
button.copy { font-size: 0.75rem; padding: 0 0.375rem; margin-left: 0.375rem; border-color: var(--line); color: var(--quiet); vertical-align: 1px; }
.actions { display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: flex-start; margin: 1rem 0; }
.action { display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: flex-end; margin: 0; }
.action:has(.hint) { display: grid; grid-template-columns: minmax(10rem, 16rem) auto 1fr; gap: 0.1875rem 0.5rem; }
.action:has(.hint) .field { display: contents; }
.action:has(.hint) :is(label, .hint, .wrong) { grid-column: 1 / -1; margin: 0; }
.action:has(.hint) :is(input, button) { grid-row: 2; }
.actions > label { font-size: 0.875rem; line-height: 1.4; padding: 0.3125rem 0.25rem 0.3125rem 0; }
.asked summary { font-size: 0.875rem; line-height: 1.4; padding: 0.3125rem 0.75rem; border: 1px solid var(--field); border-radius: 6px; cursor: pointer; list-style: none; display: inline-block; }
.asked summary::-webkit-details-marker { display: none; }
.asked[open] > div { margin: 0.5rem 0 0; padding: 0.75rem 1rem; border: 1px solid var(--line); border-left: 3px solid var(--bad); border-radius: 6px; max-width: 34rem; background: var(--ground); }
.asked p { margin: 0 0 0.625rem; }
input, select, textarea { font: inherit; font-size: 0.9375rem; padding: 0.3125rem 0.5rem; border: 1px solid var(--field); border-radius: 6px; background: var(--ground); color: var(--text); width: 100%; min-width: 0; height: 2.125rem; }
textarea { height: auto; resize: vertical; font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 0.8125rem; }
input[type=checkbox] { width: 1.125rem; height: 1.125rem; margin: 0; vertical-align: -3px; accent-color: var(--main); }
input[aria-invalid=true], select[aria-invalid=true], textarea[aria-invalid=true] { border-color: var(--bad); border-width: 2px; }
.field label, legend { display: block; font-size: 0.8125rem; font-weight: 600; margin: 0 0 0.1875rem; padding: 0; }
.hint { font-size: 0.8125rem; color: var(--quiet); margin: 0.1875rem 0 0; }
.wrong { font-size: 0.875rem; color: var(--bad); font-weight: 600; margin: 0.1875rem 0 0; }
.wrong::before { content: "\\2715\\00a0"; }
.filters { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: 0.625rem 0.75rem; align-items: start; margin: 0 0 1.25rem; padding: 0.75rem 1rem 1rem; border: 1px solid var(--line); border-radius: 8px; background: var(--raised); }
.filters .buttons { margin-top: 1.4375rem; }
.buttons { display: flex; gap: 0.75rem; align-items: center; height: 2.125rem; }
.form { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 0.875rem 1rem; max-width: 46rem; padding: 1rem; border: 1px solid var(--line); border-radius: 8px; }
.form .wide, .form fieldset, .form > .buttons { grid-column: 1 / -1; }
fieldset { border: 0; padding: 0; margin: 0; }
fieldset label { font-weight: 400; display: inline-flex; gap: 0.375rem; align-items: center; margin-right: 1rem; }
fieldset.group { grid-column: 1 / -1; display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: 0.625rem 1rem; padding: 0.75rem 0 0; border-top: 1px solid var(--line); align-items: start; }
fieldset.group legend, fieldset.headers legend { font-size: 0.9375rem; float: left; width: 100%; margin: 0 0 0.25rem; }
fieldset.group legend { grid-column: 1 / -1; }
fieldset.group .wide { grid-column: 1 / -1; }
fieldset.group label, fieldset.headers label { display: block; font-weight: 600; margin: 0 0 0.1875rem; overflow-wrap: anywhere; }
fieldset.headers { padding: 0.75rem 0 0; border-top: 1px solid var(--line); }
.header-row { clear: both; display: grid; grid-template-columns: minmax(8rem, 1fr) 2fr; gap: 0.625rem 1rem; margin: 0.625rem 0 0; align-items: end; }
.sign-in { max-width: 26rem; display: grid; gap: 0.875rem; }
.sign-in button { justify-self: start; padding: 0.4375rem 1.25rem; }
.notice { margin: 0 0 1rem; padding: 0.625rem 0.875rem; border: 1px solid var(--line); border-left: 3px solid var(--accent); border-radius: 6px; background: var(--raised); max-width: none; }
.notice.good { border-left-color: var(--good); } .notice.bad { border-left-color: var(--bad); } .notice.odd { border-left-color: var(--warm); }
.notice ul { margin: 0.375rem 0 0; padding-left: 1.25rem; }
.state { display: inline-block; white-space: nowrap; font-size: 0.8125rem; font-weight: 600; padding: 0 0.4375rem; border-radius: 4px; }
.state.good { color: var(--good); background: var(--good-ground); } .state.bad { color: var(--bad); background: var(--bad-ground); }
.state.odd { color: var(--warm); background: var(--odd-ground); } .state.plain { color: var(--text); background: var(--plain-ground); }
.id { overflow-wrap: anywhere; user-select: all; }
table { width: 100%; border-collapse: collapse; font-size: 0.875rem; }
th { text-align: left; font-weight: 600; }
thead th { font-size: 0.75rem; color: var(--quiet); border-bottom: 1px solid var(--field); padding: 0.25rem 0.75rem 0.25rem 0; white-space: nowrap; }
tbody th, td { padding: 0.4375rem 0.75rem 0.4375rem 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
tbody th { font-weight: 400; }
td time, td .number { white-space: nowrap; font-variant-numeric: tabular-nums; }
td pre, li pre { margin: 0.25rem 0 0; padding: 0.5rem 0.75rem; max-height: 14rem; white-space: pre-wrap; overflow: auto; }
pre.data { max-height: 26rem; white-space: pre-wrap; overflow-wrap: anywhere; overflow: auto; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 0.75rem 1.25rem; margin: 0 0 1rem; }
.facts dt { font-size: 0.75rem; color: var(--quiet); font-weight: 600; }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(12.5rem, 1fr)); gap: 0.75rem; margin: 0 0 1rem; padding: 0; list-style: none; }
.tiles > li { padding: 0.75rem 1rem; border: 1px solid var(--line); border-radius: 8px; }
.tiles .figure { display: block; font-size: 1.5rem; line-height: 1.3; font-weight: 600; font-variant-numeric: tabular-nums; }
.tiles .name { font-size: 0.8125rem; font-weight: 600; }
.tiles .quiet { font-size: 0.8125rem; display: block; }
.empty { margin: 0 0 1.25rem; padding: 1.25rem 1.5rem; border: 1px dashed var(--field); border-radius: 8px; }
.empty h2 { margin-top: 0; }
.empty li { margin: 0 0 0.5rem; }
.empty ol { padding-left: 1.25rem; margin: 0; }
pre:has(.copy) { position: relative; padding-right: 4.5rem; }
pre > .copy { position: absolute; top: 0.5rem; right: 0.5rem; background: var(--ground); font-family: system-ui, sans-serif; }
.empty pre { white-space: pre-wrap; overflow-wrap: anywhere; }
.pager { display: flex; gap: 1rem; margin: 1rem 0; }
.timeline { list-style: none; margin: 0; padding: 0 0 0 1.25rem; border-left: 2px solid var(--line); }
.timeline > li { position: relative; padding: 0 0 1rem; }
.timeline > li::before { content: ""; position: absolute; left: calc(-1.25rem - 6px); top: 0.4375rem; width: 10px; height: 10px; border-radius: 50%; background: var(--ground); border: 2px solid var(--field); }
.timeline > li.good::before { border-color: var(--good); background: var(--good); } .timeline > li.bad::before { border-color: var(--bad); background: var(--bad); } .timeline > li.odd::before { border-color: var(--warm); background: var(--warm); }
.why { margin: 1.25rem 0 0; }
.card h3 .quiet { font-weight: 400; }
.why h4 { font-size: 0.9375rem; margin: 0 0 0.5rem; }
.card { border: 1px solid var(--line); border-radius: 8px; padding: 1rem 1.25rem; margin: 0 0 1rem; }
.card > h3:first-child { margin-top: 0; }
#live-entries { list-style: none; margin: 0; padding: 0; border-top: 1px solid var(--line); font-size: 0.875rem; }
#live-entries li { padding: 0.3125rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
#live-entries time { font-variant-numeric: tabular-nums; color: var(--quiet); }
#live-entries .id { user-select: auto; font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 0.8125rem; }
@media (max-width: 44rem) {
  header { padding: 0 0.75rem; }
  .brand { padding: 0.5rem 0; }
  header nav { order: 3; width: 100%; margin: 0 -0.25rem; flex-wrap: wrap; }
  header nav a { padding: 0.375rem 0.5rem; }
  .account .quiet { display: none; }
  main { padding: 1rem 0.75rem 4rem; }
  table, tbody, tr, tbody th, td { display: block; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tbody tr { border: 1px solid var(--line); border-radius: 8px; padding: 0.5rem 0.75rem; margin: 0 0 0.625rem; }
  tbody th, td { position: relative; border: 0; padding: 0.125rem 0 0.125rem 7rem; min-height: 1.6rem; }
  tbody th::before, td::before { content: attr(data-label); position: absolute; left: 0; max-width: 6.5rem; font-size: 0.75rem; line-height: 1.4; padding-top: 0.125rem; color: var(--quiet); font-weight: 600; }
  td:empty { display: none; }
  td:has(> details[open]) { padding-left: 0; }
  td:has(> details[open]) > details:first-child summary { padding-left: 7rem; }
  .filters { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); padding: 0.625rem 0.75rem 0.75rem; }
  .filters .field:has([type=datetime-local]) { grid-column: 1 / -1; }
  .filters .buttons { margin-top: 0; align-self: end; }
  .facts { grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: 0.625rem 1rem; }
  .facts > div:has(.id) { grid-column: 1 / -1; }
  .card { padding: 0.75rem; }
}
@media (prefers-reduced-motion: no-preference) { a, button { transition: border-color 0.1s, color 0.1s; } }
`;
