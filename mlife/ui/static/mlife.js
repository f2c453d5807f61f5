// What pages gain from a script: keys, a selection kept in the address, theme without a reload, copying, toasts.
// Every page is useful without it.

const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const year = 365 * 86400;

// ---- what the server should know of the reader ----

function remember(name, value) {
  document.cookie = `${name}=${encodeURIComponent(value)}; path=/; max-age=${year}; samesite=lax`;
}

remember("mlife_zone", Intl.DateTimeFormat().resolvedOptions().timeZone);

function chooseTheme(event) {
  const chosen = event.submitter?.name === "theme" && event.submitter.value;
  if (!chosen) return;
  event.preventDefault();
  remember("mlife_theme", chosen);
  document.documentElement.dataset.theme = chosen;
  one("meta[name=color-scheme]").content = chosen === "system" ? "light dark" : chosen;
  for (const b of all(".themes [name=theme]")) b.setAttribute("aria-pressed", b.value === chosen);
}

// ---- selection: checked boxes and those of other pages, kept as ?selected=a,b ----

const EVERYTHING = "*"; // the selection of all that the query matches
const boxes = () => all("input[name=selected]:not([type=hidden])");

function selection() {
  const elsewhere = all("input[type=hidden][name=selected]").map((i) => i.value);
  if (elsewhere.includes(EVERYTHING)) return [EVERYTHING];
  return [...elsewhere, ...boxes().filter((b) => b.checked).map((b) => b.value)];
}

let lastTicked = null;

function tick(box, range) {
  const shown = boxes();
  if (range && lastTicked && shown.includes(lastTicked)) {
    const [from, to] = [shown.indexOf(lastTicked), shown.indexOf(box)].sort((a, b) => a - b);
    for (const between of shown.slice(from, to + 1)) between.checked = box.checked;
  }
  lastTicked = box;
  if (!box.checked) one(`input[type=hidden][name=selected][value="${EVERYTHING}"]`)?.remove(); // all but this one: those in sight
  keepSelection();
}

function keepSelection() {
  const chosen = selection();
  const into = (address) => {
    const url = new URL(address, location.href);
    url.searchParams.delete("selected");
    if (chosen.length) url.searchParams.set("selected", chosen.join(","));
    return url.pathname + url.search.replaceAll("%2C", ",") + url.hash;
  };
  history.replaceState(history.state, "", into(location.href));
  for (const a of all("a[data-keep]")) a.href = into(a.href);
  if (chosen[0] === EVERYTHING) return; // the server has said how many
  for (const b of all("[data-selected-count]")) b.textContent = chosen.length.toLocaleString("en").replaceAll(",", "\u202f");
}

// Before a key acts on a selection: without one the row in focus is it.
function isChosen() {
  if (selection().length) return true;
  const box = row() && one("input[name=selected]", row());
  if (!box) toast("Nothing is selected: go to a row with j and k, or select several with x.");
  else box.click();
  return Boolean(box);
}

// ---- the way through a list: back to the same row, and from item to item ----

const kept = (name) => JSON.parse(sessionStorage.getItem(name) ?? "null");
const keep = (name, value) => sessionStorage.setItem(name, JSON.stringify(value));
const here = () => location.pathname + location.search;

function leaveList(link) {
  if (one(".crumbs .place")) return; // a thing's own lists do not replace the one that led to it
  keep("mlife_list", { of: here(), items: all("[data-row] a.row-link").map((a) => a.pathname) });
  keep("mlife_row", { of: location.pathname, item: link.pathname });
}

function arrive() {
  const list = kept("mlife_list");
  const at = list ? list.items.indexOf(location.pathname) : -1;
  const crumbs = one(".crumbs");
  if (at >= 0 && crumbs && !one(".place", crumbs)) {
    const place = document.createElement("span");
    place.className = "place";
    for (const [rel, key, label, item] of [["prev", "k", "item before", at - 1], ["next", "j", "next item", at + 1]]) {
      if (!list.items[item]) continue;
      const link = document.createElement("a");
      const cap = document.createElement("kbd");
      Object.assign(link, { rel, href: list.items[item], ariaLabel: label });
      cap.textContent = key;
      link.append(cap);
      place.append(link, " ");
    }
    place.append(`${at + 1} of ${list.items.length}`);
    crumbs.append(place);
    for (const up of all("ol a", crumbs)) if (up.pathname === list.of.split("?")[0]) up.href = list.of;
  }
  const left = kept("mlife_row");
  if (left?.of !== location.pathname) return;
  sessionStorage.removeItem("mlife_row");
  const link = all("[data-row] a.row-link").find((a) => a.pathname === left.item);
  if (link && document.activeElement === document.body) link.focus({ preventScroll: Boolean(scrollY) });
}

// ---- dialogs: as popovers they need no script; with it they are modal ----

function toggleDialog(dialog, hide = dialog.open) {
  if (hide) dialog.close();
  else if (!dialog.open) dialog.showModal();
}

function isOutside(dialog, event) {
  const box = dialog.getBoundingClientRect();
  return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
}

// ---- keys ----

const keysOn = () => localStorage.getItem("mlife_keys") !== "off";
const typing = (element) => element.matches("input:not([type=checkbox]), textarea, select, [contenteditable]");
const row = () => document.activeElement?.closest("[data-row]");

function step(by) {
  const item = one(by > 0 ? ".place a[rel=next]" : ".place a[rel=prev]");
  if (one(".place")) return item?.click();
  const rows = all("[data-row]").filter((r) => one(".row-link", r));
  if (!rows.length) return;
  const at = rows.indexOf(row());
  const next = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + by, 0), rows.length - 1)];
  one(".row-link", next).focus();
  next.scrollIntoView({ block: "nearest" });
}

const keys = {
  "/": () => { const box = one("#q"); box?.focus(); box?.select(); },
  "?": () => toggleDialog(one("#keys")),
  j: () => step(1),
  k: () => step(-1),
  x: () => one("input[type=checkbox]", row() ?? document.createElement("i"))?.click(),
};

function press(event) {
  if (event.target.dataset?.complete && pressInBox(event)) return;
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "Escape" && typing(event.target)) return event.target.blur();
  if (!keysOn() || typing(event.target) || event.target.closest("dialog, :popover-open")) return;
  if (Object.hasOwn(keys, event.key)) {
    event.preventDefault();
    keys[event.key]();
  } else if (/^[a-z]$/.test(event.key)) {
    const button = one(`main [data-key="${event.key}"]`);
    if (!button) return;
    event.preventDefault();
    if (!button.closest(".bulk") || isChosen()) button.click();
  }
}

// ---- toasts, copying ----

function toast(text, alarm = false) {
  const box = document.createElement("div");
  box.className = alarm ? "toast alarm" : "toast";
  const says = document.createElement("p");
  says.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "close";
  close.dataset.dismiss = "";
  close.ariaLabel = "Dismiss";
  close.textContent = "×";
  box.append(says, close);
  one("#toasts").append(box);
  if (!alarm) setTimeout(() => box.remove(), 8000);
}

async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    const label = button.textContent;
    button.textContent = "copied";
    setTimeout(() => { button.textContent = label; }, 1500);
  } catch {
    toast("The browser does not let pages copy here; select the text and copy it yourself.", true);
  }
}

function explain(event) {
  const answer = event.detail.xhr;
  let problem = {};
  try { problem = JSON.parse(answer.responseText); } catch { problem.title = `The server answered ${answer.status}`; }
  toast([problem.title, problem.detail, problem.remedy].filter(Boolean).join(" · "), true);
}

// ---- completion: a box with data-complete is a combobox; it offers fields, then their values with counts ----

let completing = 0;
let offered = null; // the open list: its box, what it offers, and which of them is active

function makeCombobox(box) {
  box.role = "combobox";
  for (const [name, value] of [["autocomplete", "list"], ["haspopup", "listbox"], ["expanded", "false"]]) box.setAttribute(`aria-${name}`, value);
}

async function complete(box) {
  const mine = ++completing;
  await new Promise((done) => setTimeout(done, 80)); // whoever types fast asks once
  if (mine !== completing) return;
  const caret = box.selectionStart;
  const address = `${box.dataset.complete}&q=${encodeURIComponent(box.value)}&caret=${caret}`;
  const answer = await fetch(address).then((r) => (r.ok ? r.json() : null), () => null);
  if (mine !== completing || document.activeElement !== box) return; // an older answer, or nobody waits for it
  if (answer?.completions.length) offer(box, answer.completions);
  else closeOffers();
}

function offer(box, completions) {
  closeOffers();
  const list = document.createElement("ul");
  Object.assign(list, { id: "completions", className: "completions", role: "listbox", ariaLabel: "What could come next" });
  list.append(...completions.map((c, at) => {
    const item = document.createElement("li");
    Object.assign(item, { id: `completion-${at}`, role: "option", ariaSelected: "false" });
    const parts = [["b", c.label], ["span", c.help], ["span", c.count === null ? "" : c.count.toLocaleString("en").replaceAll(",", "\u202f")]];
    for (const [name, text] of parts) if (text) item.append(Object.assign(document.createElement(name), { textContent: text }), " ");
    return item;
  }));
  list.style.left = `${box.offsetLeft}px`;
  list.style.top = `${box.offsetTop + box.offsetHeight}px`;
  box.after(list);
  box.setAttribute("aria-expanded", "true");
  box.setAttribute("aria-controls", list.id);
  offered = { box, list, completions, active: -1 };
}

function closeOffers() {
  completing += 1; // an answer that is under way opens nothing any more
  if (!offered) return;
  offered.box.setAttribute("aria-expanded", "false");
  for (const name of ["aria-controls", "aria-activedescendant"]) offered.box.removeAttribute(name);
  offered.list.remove();
  offered = null;
}

function activate(at) {
  const items = [...offered.list.children];
  items[offered.active]?.setAttribute("aria-selected", "false");
  offered.active = (at + items.length) % items.length;
  const item = items[offered.active];
  item.setAttribute("aria-selected", "true");
  item.scrollIntoView({ block: "nearest" });
  offered.box.setAttribute("aria-activedescendant", item.id);
}

function accept(at) {
  const { box, completions } = offered;
  const { start, end, insert } = completions[at];
  box.setRangeText(insert, start, end, "end");
  closeOffers();
  box.focus();
  if (/[:=<> ]$/.test(insert)) complete(box); // a field's name asks for its value
}

function pressInBox(event) {
  const box = event.target;
  if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return false;
  const down = event.key === "ArrowDown";
  if (!offered || offered.box !== box) return down && (complete(box), event.preventDefault(), true);
  if (down || event.key === "ArrowUp") activate(offered.active < 0 && !down ? -1 : offered.active + (down ? 1 : -1));
  else if (event.key === "Enter" && offered.active >= 0) accept(offered.active);
  else if (event.key === "Escape") closeOffers();
  else return false;
  event.preventDefault();
  return true;
}

// ---- wiring ----

function prepare(root) {
  for (const b of all("[data-copy].later", root)) b.classList.remove("later");
  for (const b of all("[data-complete]", root)) makeCombobox(b);
  for (const l of all("[data-follow]", root)) if (l.dataset.atEnd !== "false") l.scrollTop = l.scrollHeight;
}

const quiet = new Set(["live"]); // refreshes whose failure the next one mends
let lost = false;

document.addEventListener("keydown", press);
document.addEventListener("submit", (event) => {
  const at = row() && one("a.row-link", row());
  if (at) keep("mlife_row", { of: location.pathname, item: at.pathname });
  chooseTheme(event);
});
document.addEventListener("input", (event) => {
  if (event.target.dataset?.complete) complete(event.target);
});
document.addEventListener("focusout", (event) => {
  if (event.target === offered?.box) closeOffers();
});
document.addEventListener("mousedown", (event) => {
  const item = event.target.closest?.("[role=option]");
  if (!item || item.parentElement !== offered?.list) return;
  event.preventDefault(); // the box keeps the focus
  accept([...offered.list.children].indexOf(item));
});
document.addEventListener("change", (event) => {
  if (event.target.id === "keys-on") localStorage.setItem("mlife_keys", event.target.checked ? "on" : "off");
});
document.addEventListener("click", (event) => {
  const target = event.target.closest?.("[data-copy], [data-dismiss], [popovertarget], [data-row] a.row-link, input[name=selected]");
  const dialog = target?.popoverTargetElement;
  if (event.target.nodeName === "DIALOG" && event.target.open && isOutside(event.target, event)) event.target.close();
  if (dialog?.nodeName === "DIALOG") {
    event.preventDefault();
    toggleDialog(dialog, target.popoverTargetAction === "hide");
  } else if (target?.hasAttribute("data-dismiss")) target.closest(".toast").remove();
  else if (target?.hasAttribute("data-copy")) copy(target);
  else if (target?.matches("input")) tick(target, event.shiftKey);
  else if (target?.matches("a")) leaveList(target);
});
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && quiet.has(event.detail.elt.id)) event.preventDefault();
});
document.addEventListener("htmx:beforeSwap", (event) => {
  const log = event.detail.target.closest?.("[data-follow]");
  if (log) log.dataset.atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
});
document.addEventListener("htmx:afterSwap", () => {
  lost = false;
  prepare(document);
});
document.addEventListener("htmx:responseError", explain);
document.addEventListener("htmx:sendError", () => {
  if (!lost) toast("The server does not answer. This page shows what it knew last.", true);
  lost = true;
});
prepare(document);
one("#keys-on").checked = keysOn();
if (selection().length) keepSelection();
arrive();
