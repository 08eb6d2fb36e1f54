// The inbox: what is unseen first, then what was seen. One click or key marks one as seen, and another takes it back.
import { each, get, patch, post, Problem, remove } from "../api.js";
import { confirm } from "../dialog.js";
import { arrange, button, h, later, outside } from "../dom.js";
import { cut } from "../facts.js";
import { feed } from "../feed.js";
import { icon } from "../icons.js";
import { actionLabel, count, severities, severityLabel } from "../labels.js";
import { tell } from "../live.js";
import { go, keep, to } from "../router.js";
import { mayRead, session } from "../session.js";
import { time } from "../time.js";
import { attempt, say } from "../toast.js";

const path = "api/v3/events/notifications/";
const show = { all: "All", unseen: "Unseen", seen: "Seen" };

export async function open(view) {
  view.title("Inbox");
  const inbox = new Inbox(view);
  view.root.append(inbox.head(), inbox.body);
  for (const [keys, help, run] of inbox.keys()) view.key(keys, help, run);
  view.live(["notification"], (hints) => attempt(() => inbox.hear(hints)));
  await inbox.begin();
}

// Inbox is the state of the view: the notifications that were read so far, by key, and which of them are chosen.
class Inbox {
  constructor(view) {
    this.view = view;
    const { search = "", severity = "" } = view.query;
    this.filter = { show: Object.hasOwn(show, view.query.show ?? "") ? view.query.show : "all", severity, search };
    this.all = new Map();
    this.chosen = new Set();
    this.round = 0; // counts the filters that were chosen
    this.body = h("div", {});
    this.bulk = h("div.bulk", { hidden: true, role: "group", "aria-label": "With those that are chosen" });
    this.saving = Promise.resolve(); // what is being sent, so that an undo comes after what it undoes
    this.lists = { unseen: this.section("unseen", "New"), seen: this.section("seen", "Earlier") };
  }

  // section is one of the two lists, with its heading and its button for more.
  section(name, title) {
    const list = h("ol.notes", { "aria-label": title });
    const heading = h("h2", {}, title);
    const more = button(".more", { hidden: true, onclick: () => attempt(() => this.more(name)) }, "Show more");
    return { list, heading, more, node: h("section.listing", { hidden: true }, heading, list, more), feed: null };
  }

  head() {
    const search = h("input", { type: "search", placeholder: "Search", "aria-label": "Search notifications", value: this.filter.search });
    search.addEventListener("input", later(250, () => this.change({ search: search.value.trim() })));
    this.search = search;
    const shown = h("div.switch", { role: "group", "aria-label": "Which" }, Object.entries(show).map(([key, label]) =>
      button("", { "aria-pressed": String(this.filter.show === key), onclick: (event) => this.choose(event, shown, { show: key }) }, label)));
    const severity = h("select", { "aria-label": "Severity", onchange: () => this.change({ severity: severity.value }) },
      [["", "Any severity"], ...severities].map(([value, label]) => h("option", { value, selected: value === this.filter.severity }, label)));
    this.markAll = button("", { onclick: () => attempt(() => this.allSeen()), disabled: true }, icon("check"), "Mark all as seen");
    return h("div.head", {}, h("div.title", {}, h("h1", {}, "Inbox"), this.markAll),
      h("div.filters", {}, shown, severity, h("label.search", {}, icon("search"), search)), this.bulk);
  }

  choose(event, group, change) {
    for (const one of group.children) one.setAttribute("aria-pressed", String(one === event.currentTarget));
    this.change(change);
  }

  change(filter) {
    Object.assign(this.filter, filter);
    keep({ ...this.filter, show: this.filter.show === "all" ? "" : this.filter.show });
    this.begin();
  }

  // begin reads the lists from their beginnings. What goes wrong is shown in their place.
  begin() {
    this.beginning = this.read().catch((error) => {
      if (!(error instanceof Problem)) throw error;
      this.body.replaceChildren(h("div.empty", { role: "alert" }, h("p", {}, error.message), button("", { onclick: () => this.begin() }, "Try again")));
    });
    return this.beginning;
  }

  // query is the filter of one of the lists in the API's words.
  query(name) {
    const { search, severity } = this.filter;
    return { user: session.user.pk, seen: name === "seen", search, severity };
  }

  async read() {
    const round = ++this.round;
    if (this.all.size === 0) this.body.replaceChildren(skeleton());
    const wanted = { all: ["unseen", "seen"], unseen: ["unseen"], seen: ["seen"] }[this.filter.show];
    const feeds = {};
    const found = await Promise.all(wanted.map((name) => {
      feeds[name] = feed(path, this.query(name), this.view.signal, 50);
      return feeds[name].more();
    }));
    if (round !== this.round) return; // another filter was chosen meanwhile
    for (const [name, section] of Object.entries(this.lists)) section.feed = feeds[name] ?? null;
    this.all = new Map(found.flat().map((one) => [one.pk, one]));
    this.chosen.clear();
    this.body.replaceChildren(this.lists.unseen.node, this.lists.seen.node);
    for (const section of Object.values(this.lists)) section.list.replaceChildren();
    this.paint();
  }

  async more(name) {
    for (const one of await this.lists[name].feed.more()) this.all.set(one.pk, one);
    this.paint();
  }

  // hear reads again what changed: the notifications that are named, and what came.
  async hear(hints) {
    await this.beginning; // or what comes meanwhile would be missed
    if (!this.sections().length) return this.begin();
    const { round } = this;
    const named = hints.map((hint) => hint.id).filter((id) => this.all.has(id));
    if (hints.some((hint) => hint.id === "") || named.length > 5) {
      return this.reread();
    }
    await each(named, (pk) => this.readOne(pk));
    if (named.length < hints.length) await this.news();
    if (round === this.round) this.paint();
    return undefined;
  }

  // reread learns what became of all that is shown and what came, in two requests however many changed.
  async reread() {
    const { round } = this;
    const size = Math.min(1000, Math.max(50, this.all.size));
    const pages = await Promise.all(this.sections().map(([name]) => get(path, { ...this.query(name), ordering: "-created", page_size: size }, this.view.signal)));
    if (round !== this.round) return;
    const now = new Map(pages.flatMap((page) => page.results).map((one) => [one.pk, one]));
    const end = pages.filter((page) => page.pagination.next !== 0).map((page) => page.results.at(-1).created).sort().at(-1) ?? "";
    for (const [pk, one] of this.all) if (!now.has(pk) && one.created < end) now.set(pk, one); // further down than was read
    this.all = now;
    for (const pk of [...this.chosen]) if (!now.has(pk)) this.chosen.delete(pk);
    this.sections().forEach(([, section], i) => pages[i].results.forEach((one) => section.feed.known.add(one.pk)));
    this.paint();
  }

  sections() {
    return Object.entries(this.lists).filter(([, section]) => section.feed);
  }

  async readOne(pk) {
    try {
      this.all.set(pk, await get(`${path}${pk}/`, {}, this.view.signal));
    } catch (error) {
      if (error.status !== 404) throw error;
      this.all.delete(pk);
    }
  }

  async news() {
    for (const [, section] of this.sections()) {
      const came = await section.feed.news();
      if (came === null) return this.begin();
      for (const one of came) this.all.set(one.pk, one);
    }
    return undefined;
  }

  // paint shows what is known. Elements stay, and what is being read stays where it is on the screen.
  paint() {
    const anchor = this.anchor();
    const was = anchor?.getBoundingClientRect().top;
    const ordered = [...this.all.values()].sort((a, b) => b.created.localeCompare(a.created) || b.pk.localeCompare(a.pk));
    for (const [name, section] of Object.entries(this.lists)) {
      const mine = ordered.filter((one) => one.seen === (name === "seen"));
      const { list, heading, more, node } = section;
      arrange(list, mine, (one) => one.pk, (one) => this.row(one));
      for (const item of list.children) this.refresh(item);
      node.hidden = mine.length === 0 || !section.feed;
      more.hidden = !section.feed || section.feed.done;
      heading.hidden = this.filter.show !== "all";
      const first = list.querySelector('[tabindex="0"]') ?? list.firstElementChild;
      for (const item of list.children) item.tabIndex = item === first ? 0 : -1;
    }
    const unseen = ordered.some((one) => !one.seen);
    this.markAll.disabled = !unseen;
    this.body.querySelector(".empty")?.remove();
    if (!this.sections().some(([name]) => ordered.some((one) => one.seen === (name === "seen")))) this.body.append(this.empty());
    else if (!unseen && this.filter.show === "all" && !this.filtered()) this.body.prepend(h("div.empty.slim", {}, icon("check"), h("p", {}, "All caught up.")));
    this.paintBulk();
    if (anchor?.isConnected) scrollBy({ top: anchor.getBoundingClientRect().top - was, behavior: "instant" });
  }

  // anchor is what must not move: the notification with the focus, or the first on the screen once one has scrolled.
  anchor() {
    const focused = document.activeElement?.closest(".note");
    if (focused) return focused;
    return scrollY > 0 ? this.items().find((item) => item.getBoundingClientRect().bottom > 0) : null;
  }

  filtered() {
    return Boolean(this.filter.search || this.filter.severity);
  }

  empty() {
    if (this.filtered()) {
      return h("div.empty", {}, h("p", {}, "No notification matches."), button("", { onclick: () => go(["inbox"]) }, "Show all"));
    }
    if (this.filter.show === "unseen") return h("div.empty", {}, icon("check"), h("p", {}, "All caught up. Nothing is unseen."));
    return h("div.empty", {}, icon("bell"), h("p", {}, "Nothing here yet."),
      h("p.hint", {}, mayRead()
        ? "A rule puts a notification here when an event matches it. The rules of the first start match configuration errors, exceptions and updates."
        : "When something concerns you, it appears here by itself."),
      mayRead() && h("p", {}, h("a", { href: to(["events"]) }, "See what has happened")));
  }

  // row makes the element of one notification.
  row(one) {
    const { event } = one;
    const choose = h("input", { type: "checkbox", "aria-label": "Choose", onchange: (change) => this.pick(one.pk, change.target.checked) });
    const link = event && mayRead() && h("a", { href: to(["events", event.pk]) }, actionLabel(event.action));
    const show = (press) => { if (press.key === "Enter" && press.target === press.currentTarget) link?.click?.(); };
    return h("li.note", { tabindex: -1, class: one.severity, onkeydown: show, onfocus: (focus) => this.focused(focus.currentTarget) },
      h("span.pick", {}, choose),
      h("span.severity", { title: `Severity: ${severityLabel(one.severity)}` }, icon(iconOf(one.severity)), h("span", {}, severityLabel(one.severity))),
      h("div.what", {},
        h("p.text", {}, cut(one.body, 1500)),
        h("p.meta", {}, time(one.created), link || (event && h("span", {}, actionLabel(event.action))), event && h("span.app", {}, cut(event.app, 60)),
          one.hyperlink && outside(one.hyperlink, cut(one.hyperlink_label || one.hyperlink, 80)))),
      button(".mark", { onclick: () => attempt(() => this.turn(one.pk)) }));
  }

  // refresh shows in an element what can change of its notification.
  refresh(item) {
    const one = this.all.get(item.dataset.key);
    const mark = item.querySelector(".mark");
    item.classList.toggle("seen", one.seen);
    if (mark.dataset.seen !== String(one.seen)) {
      mark.dataset.seen = one.seen;
      mark.replaceChildren(icon(one.seen ? "undo" : "check"), h("span", {}, one.seen ? "Unseen" : "Seen"));
      mark.title = one.seen ? "Mark as unseen (e)" : "Mark as seen (e)";
    }
    item.querySelector("input").checked = this.chosen.has(one.pk);
  }

  // turn marks a notification as seen, or, where it is, as unseen.
  turn(pk) {
    return this.turnTo([pk], !this.all.get(pk).seen);
  }

  // turnTo marks notifications as seen or unseen and offers the way back.
  async turnTo(pks, seen) {
    const changed = pks.filter((pk) => this.all.get(pk)?.seen !== seen);
    if (!changed.length) return;
    say(`${changed.length === 1 ? "Marked" : `${count(changed.length, "notification")} marked`} as ${seen ? "seen" : "unseen"}.`,
      () => this.set(changed, !seen));
    await this.set(changed, seen);
  }

  async set(pks, seen) {
    const focus = this.neighbour(pks);
    for (const pk of pks) {
      const known = this.all.get(pk);
      if (known) this.all.set(pk, { ...known, seen });
    }
    this.paint();
    focus?.focus();
    const send = async (pk) => {
      await patch(`${path}${pk}/`, { seen });
      tell("notification", pk);
    };
    const sent = this.saving.then(() => each(pks, send));
    this.saving = sent.catch(() => {});
    try {
      await sent;
    } catch (error) {
      await attempt(() => this.reread());
      throw error;
    }
  }

  // neighbour is where the focus goes when the notifications that hold it move away: the next one, or the one before.
  neighbour(pks) {
    const item = document.activeElement?.closest(".note");
    if (!item || !pks.includes(item.dataset.key)) return null;
    const stays = (other) => other && !pks.includes(other.dataset.key);
    for (let next = item.nextElementSibling; next; next = next.nextElementSibling) if (stays(next)) return next;
    for (let next = item.previousElementSibling; next; next = next.previousElementSibling) if (stays(next)) return next;
    return this.items().find(stays) ?? null;
  }

  async allSeen() {
    const unseen = await get(path, { ...this.query("unseen"), page_size: 500 });
    const pks = unseen.results.map((one) => one.pk);
    const many = unseen.pagination.next !== 0;
    if (this.filtered()) {
      await this.set(pks, true);
    } else {
      if (many && !await confirm("Mark all as seen?", `${count(unseen.pagination.count, "notification")} at once; for so many there is no undo.`, "Mark all as seen")) return;
      await post(`${path}mark_all_seen/`);
      tell("notification");
      await this.reread();
    }
    if (many) {
      say(this.filtered() ? `The first ${count(pks.length, "notification")} marked as seen.` : "All marked as seen.");
      return;
    }
    say(`${count(pks.length, "notification")} marked as seen.`, async () => {
      await this.set(pks, false);
      await this.reread();
    });
  }

  pick(pk, on) {
    if (on) this.chosen.add(pk);
    else this.chosen.delete(pk);
    this.paintBulk();
    for (const item of this.items()) this.refresh(item);
  }

  paintBulk() {
    const chosen = [...this.chosen];
    this.bulk.hidden = chosen.length === 0;
    if (!chosen.length) return;
    const act = (label, name, work) => button("", { onclick: () => attempt(work) }, icon(name), label);
    this.bulk.replaceChildren(h("strong", {}, `${chosen.length} chosen`),
      act("Seen", "check", () => this.bulkTurn(chosen, true)),
      act("Unseen", "undo", () => this.bulkTurn(chosen, false)),
      act("Delete", "trash", () => this.discard(chosen)),
      button(".link", { onclick: () => { for (const pk of this.all.keys()) this.chosen.add(pk); this.paint(); } }, "Choose all shown"),
      button(".link", { onclick: () => { this.chosen.clear(); this.paint(); } }, "Choose none"));
  }

  bulkTurn(pks, seen) {
    this.chosen.clear();
    this.paint();
    return this.turnTo(pks, seen);
  }

  async discard(pks) {
    if (!await confirm(`Delete ${count(pks.length, "notification")}?`, "They are gone for good. The events that they are about stay.", "Delete")) return;
    await each(pks, async (pk) => {
      await remove(`${path}${pk}/`);
      this.all.delete(pk);
      this.chosen.delete(pk);
      tell("notification", pk);
    });
    this.paint();
    say(`${count(pks.length, "notification")} deleted.`);
  }

  items() {
    return [...this.body.querySelectorAll("section:not([hidden]) .note")];
  }

  focused(item) {
    for (const other of item.parentElement.children) other.tabIndex = other === item ? 0 : -1;
  }

  current() {
    return document.activeElement?.closest(".note");
  }

  move(step) {
    const items = this.items();
    const at = items.indexOf(this.current());
    const next = items[at < 0 ? (step > 0 ? 0 : items.length - 1) : Math.min(items.length - 1, Math.max(0, at + step))];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  }

  // keys are the view's own; those about one notification take the one with the focus, or else the first.
  keys() {
    const on = (run) => () => {
      const item = this.current() ?? this.items()[0];
      if (item) attempt(() => run(this.all.get(item.dataset.key), item));
    };
    return [
      ["/", "Search", () => this.search.focus()],
      ["j", "Next notification", () => this.move(1)],
      ["k", "Previous notification", () => this.move(-1)],
      ["e", "Mark as seen, or as unseen", on((one) => this.turn(one.pk))],
      ["x", "Choose", on((one) => this.pick(one.pk, !this.chosen.has(one.pk)))],
      ["o", "Show the event", on((one) => { if (one.event && mayRead()) go(["events", one.event.pk]); })],
      ["E", "Mark all as seen", () => attempt(() => this.allSeen())],
    ];
  }
}

const iconOf = (severity) => (["alert", "warning", "notice"].includes(severity) ? severity : "notice");

// skeleton keeps the place while the list is being read.
const skeleton = () => h("ol.notes.skeleton", { "aria-hidden": "true" }, Array.from({ length: 6 }, () => h("li.note")));
