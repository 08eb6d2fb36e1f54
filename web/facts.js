// What an event says of who, where and what. user, context and brand can be any JSON at all, so nothing is taken for granted.

// at digs into JSON and answers what is there, undefined where there is nothing: at(event, "context", "model", "name").
export function at(value, ...keys) {
  for (const key of keys) {
    if (value === null || typeof value !== "object" || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

// words is at for text and numbers, "" for everything else.
export function words(value, ...keys) {
  const found = at(value, ...keys);
  return typeof found === "string" || typeof found === "number" ? String(found) : "";
}

// cut shortens text to about n characters, without breaking one in two.
export function cut(text, n) {
  return text.length > n ? `${text.slice(0, n).replace(/[\uD800-\uDBFF]$/, "")}…` : text;
}

// actor says who did it: a name and a remark, both "" where nobody is named.
export function actor(event) {
  const { user } = event;
  const behalf = words(user, "on_behalf_of", "username");
  const authenticated = words(user, "authenticated_as", "username");
  const device = words(user, "device", "name") || words(event.context, "device", "name");
  return {
    name: words(user, "username") || words(user, "email") || words(user, "name"),
    note: behalf ? `On behalf of ${behalf}` : authenticated ? `Authenticated as ${authenticated}` : device ? `Via ${device}` : "",
  };
}

// place is where an address is: "Boxford, GB, EU", as far as it is known.
export const place = (event) => ["city", "country", "continent"].map((key) => words(event.context, "geo", key)).filter(Boolean).join(", ");

// brand is the name of the brand that an event is about, "" for the one that stands for none.
export const brand = (event) => (/^0*$/.test(words(event.brand, "pk")) ? "" : words(event.brand, "name"));

// model names an object that a context describes.
export function model(value) {
  const [kind, name] = [words(value, "model_name"), words(value, "name")];
  return [kind, name && `“${name}”`].filter(Boolean).join(" ");
}

const gists = {
  login: (context) => [words(context, "auth_method") && `by ${words(context, "auth_method")}`, model(at(context, "using_source"))],
  login_failed: (context) => [words(context, "username") && `as ${words(context, "username")}`],
  user_write: (context) => [words(context, "username")],
  authorize_application: (context) => [words(context, "authorized_application", "name"), words(context, "scopes")],
  secret_view: (context) => [model(at(context, "secret"))],
  secret_rotate: (context) => [model(at(context, "secret"))],
  source_linked: (context) => [model(at(context, "source"))],
  impersonation_started: (context) => [words(context, "to", "username")],
  impersonation_ended: (context) => [words(context, "to", "username")],
  email_sent: (context) => [words(context, "subject"), list(at(context, "to_email"))],
  update_available: (context) => [words(context, "new_version")],
  policy_execution: (context) => [words(context, "binding", "name")],
  model_created: (context) => [model(at(context, "model"))],
  model_updated: (context) => [model(at(context, "model")), Object.keys(at(context, "diff") ?? {}).join(", ")],
  model_deleted: (context) => [model(at(context, "model"))],
};

// gist is what a line of a table says of an event besides its action.
export function gist(event) {
  const own = Object.hasOwn(gists, event.action) ? gists[event.action](event.context) : [];
  const text = own.filter(Boolean).join(" · ") || words(event.context, "message") || words(event.context, "error");
  return cut(text, 200);
}

// list is a list of texts, or one text, on a line.
export const list = (value) => [value].flat().map((one) => words({ one }, "one")).filter(Boolean).join(", ");
