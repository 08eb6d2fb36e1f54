// The page reads and writes the same API as every other client. Text from events is hostile:
// it is only ever set as textContent.

const api = "api/v3/events/notifications/";
const byId = (id) => document.getElementById(id);
let token = sessionStorage.getItem("token") ?? "";

async function call(path, options = {}) {
  const headers = { Authorization: `Bearer ${token}`, ...options.headers };
  const answer = await fetch(path, { ...options, headers });
  if (answer.status === 204) return null;
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.detail ?? `The server answered ${answer.status}.`);
  return body;
}

function element(name, className, text) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function row(notification) {
  const item = element("li", notification.severity);
  const about = element("p", "about");
  const time = element("time", "", new Date(notification.created).toLocaleString());
  time.dateTime = notification.created;
  about.append(element("span", "severity", notification.severity), " · ", time);
  const seen = element("button", "", "Seen");
  seen.type = "button";
  seen.addEventListener("click", () => act(() => call(`${api}${notification.pk}/`, {
    method: "PATCH",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ seen: true }),
  })));
  item.append(element("p", "body", notification.body), about, seen);
  return item;
}

async function show() {
  const me = await call("api/v3/core/users/me/");
  const list = await call(`${api}?seen=false&ordering=-created&user=${me.user.pk}`);
  byId("notifications").replaceChildren(...list.results.map(row));
  byId("empty").hidden = list.results.length > 0;
  byId("inbox-title").textContent = `Inbox of ${me.user.username} (${list.pagination.count} unseen)`;
  byId("sign-in").hidden = true;
  byId("inbox").hidden = false;
}

// act does something, then shows how things are; what went wrong is said once, above the list.
async function act(work) {
  byId("problem").textContent = "";
  try {
    await work();
    await show();
    sessionStorage.setItem("token", token);
  } catch (error) {
    byId("sign-in").hidden = false;
    byId("problem").textContent = error.message;
  }
}

byId("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  act(async () => {});
});
byId("refresh").addEventListener("click", () => act(async () => {}));
byId("all-seen").addEventListener("click", () => act(() => call(`${api}mark_all_seen/`, { method: "POST" })));
byId("sign-out").addEventListener("click", () => {
  token = "";
  sessionStorage.removeItem("token");
  byId("token").value = "";
  byId("notifications").replaceChildren();
  byId("inbox").hidden = true;
  byId("sign-in").hidden = false;
  byId("token").focus();
});

fetch("-/health/ready/").then(
  (answer) => { byId("state").textContent = answer.ok ? "Running, and ready for events." : "Running, but its storage is not ready."; },
  () => { byId("state").textContent = "The server cannot be reached."; },
);
if (token) act(async () => {});
