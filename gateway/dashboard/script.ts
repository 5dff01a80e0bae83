/**
 * The one script of the dashboard, as it is served. Without it every page works but the live one: it copies ids, hands in the link
 * that signs in, ticks many boxes at once, and shows what happens as it happens. Text that came from elsewhere goes into the page
 * as text alone.
 */
export const SCRIPT = `"use strict";
const said = document.getElementById("said");
const say = (text) => { if (said) said.textContent = text; };
const make = (name, text, className) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
};

// The link that signs in: taken out of the address, so that it stands in no history.
const followLink = () => {
  const link = /^#sign-in=([\\w-]+)$/.exec(location.hash);
  if (!link) return;
  history.replaceState(null, "", location.pathname + location.search);
  const form = document.getElementById("sign-in");
  if (!form) return;
  form.elements.link.value = link[1];
  form.submit();
};
followLink();
window.addEventListener("hashchange", followLink);

const copy = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
};
if (navigator.clipboard) {
  for (const place of document.querySelectorAll("[data-copy]")) {
    const text = place.textContent;
    const button = make("button", "Copy", "copy");
    button.type = "button";
    button.setAttribute("aria-label", "Copy " + (place.dataset.copy || text));
    button.addEventListener("click", async () => {
      const isDone = await copy(text);
      button.textContent = isDone ? "Copied" : "Select it";
      say(isDone ? "Copied" : "It could not be copied");
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    place.after(button);
  }
}

for (const all of document.querySelectorAll("[data-all]")) {
  all.closest("[hidden]").hidden = false;
  all.addEventListener("change", () => {
    for (const box of document.querySelectorAll('input[type=checkbox][name="' + all.dataset.all + '"]')) box.checked = all.checked;
  });
}

const live = document.getElementById("live");
if (live && window.EventSource) watch(live);

function watch(live) {
  const KEPT = 200;
  const state = document.getElementById("live-state");
  const list = document.getElementById("live-entries");
  const pause = document.getElementById("live-pause");
  let isPaused = false;
  let waiting = [];
  let source = null;

  const tell = (text) => { if (state.textContent !== text) state.textContent = text; };
  const show = (entry) => {
    list.prepend(entry);
    while (list.childElementCount > KEPT) list.lastElementChild.remove();
  };
  const add = (entry) => {
    document.getElementById("live-empty").hidden = true;
    if (!isPaused) return show(entry);
    waiting.push(entry);
    if (waiting.length > KEPT) waiting.shift();
    pause.textContent = "Go on (" + waiting.length + " new)";
  };
  pause.hidden = false;
  pause.addEventListener("click", () => {
    isPaused = !isPaused;
    pause.setAttribute("aria-pressed", String(isPaused));
    if (!isPaused) for (const entry of waiting.splice(0)) show(entry);
    pause.textContent = isPaused ? "Go on" : "Pause";
    tell(isPaused ? "Paused. What happens meanwhile is kept, the last " + KEPT + " of it." : "Watching.");
  });

  const GOOD = ["good", "\\u2713"], BAD = ["bad", "\\u2715"], ODD = ["odd", "!"], PLAIN = ["plain", "\\u25CB"];
  const KINDS = { delivered: GOOD, dead: BAD, disabled: BAD, expired: BAD, retry: ODD, retrying: ODD, paused: ODD, backlog: ODD };
  const mark = (word) => {
    const [kind, sign] = KINDS[word] || PLAIN;
    const made = make("span", undefined, "state " + kind);
    const shown = make("span", sign);
    shown.setAttribute("aria-hidden", "true");
    made.append(shown, " " + word);
    return made;
  };
  const row = (at, word, data, id, words) => {
    const made = make("li");
    const time = make("time", new Date(at).toISOString().slice(11, 23));
    time.dateTime = at;
    const link = make("a", id, "id");
    const tenant = live.dataset.tenants ? "?tenant=" + encodeURIComponent(data.tenant) : "";
    link.href = live.dataset.from.replace(/tail.*$/, "events/") + encodeURIComponent(id) + tenant;
    made.append(time, " ", mark(word), " ", make("strong", data.type), " ", link, " ", make("span", words.filter(Boolean).join(" \\u00b7 "), "quiet"));
    return made;
  };
  const words = (data) => [
    live.dataset.tenants && data.tenant,
    data.endpoint_id,
    data.attempt ? "attempt " + data.attempt : "",
    data.status ? "answered " + data.status : data.fault,
    data.duration_ms === undefined ? "" : data.duration_ms + " ms",
    data.reason === "answered " + data.status ? "" : data.reason,
  ];
  const on = {
    accepted: (data) => row(data.accepted_at, "accepted", data, data.id, [live.dataset.tenants && data.tenant, data.lane, data.body_bytes + " bytes"]),
    attempt: (data) => row(data.at, data.outcome, data, data.event_id, words(data)),
    delivery: (data) => row(data.at, data.state, data, data.event_id, words(data)),
    lost: (data) => make("li", (data.count === null ? "Some" : data.count) + " entries were not shown: too much happened at once.", "quiet"),
  };

  const open = () => {
    source = new EventSource(live.dataset.from);
    source.addEventListener("open", () => { if (!isPaused) tell("Watching."); });
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) tell("The server refused to show more. Load the page again.");
      else tell("The connection is lost; trying again.");
    });
    for (const [name, shown] of Object.entries(on)) {
      source.addEventListener(name, (event) => add(shown(JSON.parse(event.data))));
    }
    source.addEventListener("end", (event) => {
      const { code, detail } = JSON.parse(event.data);
      source.close();
      tell(detail);
      if (code === "stopping" || code === "slow-reader") setTimeout(open, 3000);
    });
  };
  open();
  window.addEventListener("pagehide", () => source.close());
}
`;
