// How the server is, for who looks after it.
import { get } from "../api.js";
import { h, put } from "../dom.js";
import { count } from "../labels.js";
import { card, facts } from "../lists.js";
import { exact, time } from "../time.js";
import { attempt } from "../toast.js";

const databases = { sqlite: "SQLite", postgres: "PostgreSQL" };
const number = new Intl.NumberFormat();

export async function open(view) {
  view.title("System");
  const place = h("div.cards-of");
  view.root.append(h("div.title.narrow", {}, h("h1", {}, "System")), place);
  const read = async () => put(place, draw(await get("api/belfry/system/", {}, view.signal)));
  const timer = setInterval(() => { if (!document.hidden) attempt(read); }, 10_000);
  view.signal.addEventListener("abort", () => clearInterval(timer));
  await read();
}

const draw = (state) => [
  card("Belfry", facts([
    ["Version", state.version],
    ["API", `as of authentik ${state.api_version}`],
    ["Running for", span(state.uptime)],
    ["Started", exact(state.started)],
  ])),
  card("Database", facts([
    ["Kind", databases[state.database] ?? state.database],
    ["Size", size(state.database_size)],
    ["Events", number.format(state.events)],
    ["Oldest event", state.oldest_event ? time(state.oldest_event) : "none yet"],
  ])),
  card("Queues", facts([
    ["Deliveries", state.pending_deliveries ? `${number.format(state.pending_deliveries)} waiting` : "none waiting"],
    ["Given up", state.dead_deliveries ? count(state.dead_deliveries, "delivery", "deliveries") : "none"],
    ["Writes", state.waiting_writes ? `${number.format(state.waiting_writes)} waiting` : "none waiting"],
    ["Listeners", state.streams ? number.format(state.streams) : "none"],
  ])),
  card("Tasks", facts(state.tasks.map((task) => [task.name[0].toUpperCase() + task.name.slice(1), task.last_run ? ["ran ", time(task.last_run)] : "has not run yet"]))),
];

// size is a number of bytes as people say it.
function size(bytes) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
  const step = Math.min(units.length - 1, bytes > 0 ? Math.floor(Math.log10(bytes) / 3) : 0);
  return new Intl.NumberFormat(undefined, { style: "unit", unit: units[step], maximumFractionDigits: 1 }).format(bytes / 1000 ** step);
}

// span is a number of seconds as people say it.
function span(seconds) {
  const [name, length] = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]].find(([, length]) => seconds >= length) ?? ["second", 1];
  return count(Math.floor(seconds / length), name);
}
