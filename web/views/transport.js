// One transport: its settings, made from a preset if one likes, its secrets, which nobody can read, and its test.
import { all, get, patch, post, Problem, remove } from "../api.js";
import { confirm } from "../dialog.js";
import { button, h, outside, put } from "../dom.js";
import { form } from "../form.js";
import { icon } from "../icons.js";
import { back, card, dangerous, facts, missing, modes, modeLabel, paths, sent, tag, when } from "../notify.js";
import { go, to } from "../router.js";
import { mayWrite } from "../session.js";
import { attempt, complain, say } from "../toast.js";

const none = ["", "–"];

export async function open(view) {
  const [pk] = view.args;
  if (pk === "new") return begin(view);
  const transport = await get(`${paths.transports}${encodeURIComponent(pk)}/`, {}, view.signal).catch((error) => { if (error.status !== 404) throw error; });
  if (!transport) return missing(view, "transports", "Transports");
  const mappings = mayWrite() ? await all(paths.mappings, {}, view.signal) : [];
  view.title(transport.name);
  const heading = h("h1.text", {}, transport.name);
  const [state, place] = [h("div"), h("div")];
  const drawState = () => put(state, stateCard(transport, (now) => { Object.assign(transport, now); drawState(); }));
  const drawForm = () => put(place, card("Settings", mayWrite() ? settings(transport, mappings, (saved) => {
    Object.assign(transport, saved);
    heading.textContent = transport.name;
    say("The transport was saved.");
    drawForm();
  }) : h("p", {}, modeLabel(transport.mode))));
  drawState();
  drawForm();
  put(view.root, back(view, "transports", "Transports"), h("header.title", {}, heading), state, place, mayWrite() && [test(transport),
    h("p", {}, dangerous("Delete the transport", () => attempt(() => discard(transport))))]);
  view.live(["transport"], async (hints) => {
    if (!hints.some((hint) => [transport.pk, "", "*"].includes(hint.id ?? "*"))) return;
    const now = await get(`${paths.transports}${transport.pk}/`, {}, view.signal).catch(() => null);
    if (!now) return;
    Object.assign(transport, { disabled_at: now.disabled_at, disabled_reason: now.disabled_reason });
    drawState();
  });
  return undefined;
}

async function discard(transport) {
  const users = await get(`${paths.transports}${transport.pk}/used_by/`);
  const text = users.length ? `It is used by: ${users.map((one) => one.name).join(", ")}.` : "No rule uses it.";
  if (!await confirm(`Delete the transport “${transport.name}”?`, `${text} What waits to be sent by it is cancelled.`, "Delete")) return;
  await remove(`${paths.transports}${transport.pk}/`);
  say("The transport was deleted.");
  go(["transports"]);
}

// enableButton enables a disabled transport; done gets it as it is then.
export const enableButton = (transport, done) => button("", { onclick: () => attempt(async () => {
  const now = await patch(`${paths.transports}${transport.pk}/`, { disabled_at: null });
  say(`“${transport.name}” is enabled. What waited is sent now.`);
  await done(now);
}) }, "Enable");

function stateCard(transport, done) {
  const off = Boolean(transport.disabled_at);
  const disable = () => button("", { onclick: () => attempt(async () => {
    done(await patch(`${paths.transports}${transport.pk}/`, { disabled_at: new Date(Date.now() - 60_000).toISOString() }));
    say("The transport is disabled. What it is to send waits.", async () => done(await patch(`${paths.transports}${transport.pk}/`, { disabled_at: null })));
  }) }, "Disable");
  return card("State", facts([["Sends", off ? tag("Disabled", "warning", "warning") : tag("Enabled", "check", "good")], ["Since", off && when(transport.disabled_at)], ["Why", transport.disabled_reason],
    ["Deliveries", transport.mode !== "local" && h("a", { href: to(["deliveries"], { transport: transport.pk }) }, "Show what it sent")]]),
    off && h("p.hint", {}, "What it is to send waits, and is sent once it is enabled."),
    mayWrite() && transport.mode !== "local" && h("p", {}, off ? enableButton(transport, done) : disable()));
}

const isHook = (values) => values.mode.startsWith("webhook");
const is = (...names) => (values) => names.includes(values.mode);

// fieldsOf are the settings of a transport; with more, those of a preset's mappings.
function fieldsOf(transport, mappings, more = []) {
  const options = [none, ...mappings.map((one) => [one.pk, one.name])];
  return [
    { name: "name", label: "Name", value: transport.name, autocomplete: "off" },
    { name: "mode", label: "Sends", type: "select", value: transport.mode, options: modes },
    { name: "webhook_url", label: "Address", value: transport.webhook_url, when: isHook, inputmode: "url", autocomplete: "off", spellcheck: "false", placeholder: "https://…" },
    ...(more.length ? more : [
      { name: "webhook_mapping", label: "Mapping of the body", type: "select", value: transport.webhook_mapping ?? "", options, when: is("webhook", "local"), hint: "Without one, Belfry’s own form is sent." },
      { name: "webhook_mapping_headers", label: "Mapping of the headers", type: "select", value: transport.webhook_mapping_headers ?? "", options, when: is("webhook", "webhook_slack") },
    ]),
    { name: "send_once", label: "Send once, not to each recipient: for a chat channel", type: "checkbox", value: transport.send_once },
    { name: "email_subject_prefix", label: "Subjects begin with", value: transport.email_subject_prefix ?? "", when: is("email") },
    { name: "secret", label: transport.has_secret ? "New secret" : "Secret", value: "", when: isHook, autocomplete: "off", spellcheck: "false", placeholder: transport.has_secret ? "unchanged" : "none: nothing is signed",
      hint: [transport.has_secret ? "A secret is set, and nobody can read it. With a new one, both sign until you stop the old one: so receivers can learn the new one without a gap." : "Signs what is sent, so that the receiver can tell it is yours. It cannot be read again later.", " ", makeSecret()] },
    transport.has_previous_secret && { name: "stop", label: "Stop signing with the previous secret: all receivers know the new one", type: "checkbox", when: isHook },
    transport.has_secret && { name: "unsigned", label: "Remove the secret: sign nothing any more", type: "checkbox", when: isHook },
  ].filter(Boolean);
}

// bodyOf is what the API takes of what was typed.
function bodyOf({ secret, stop, unsigned, webhook_mapping, webhook_mapping_headers, ...values }) {
  const body = { ...values, webhook_mapping: webhook_mapping || null, webhook_mapping_headers: webhook_mapping_headers || null };
  if (unsigned) return { ...body, secret: "", previous_secret: "" };
  if (secret) body.secret = secret.trim();
  if (stop) body.previous_secret = "";
  return body;
}

function settings(transport, mappings, done) {
  return form({
    fields: fieldsOf(transport, mappings), submit: "Save the transport",
    send: (values) => patch(`${paths.transports}${transport.pk}/`, bodyOf(values)), done,
  });
}

// makeSecret is a button that fills in a new secret.
const makeSecret = () => button(".link", { onclick: (event) => {
  const field = event.target.closest(".field").querySelector("input");
  field.value = `whsec_${btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))))}`;
  field.select();
  say("Copy the secret into the receiver before you save: it is not shown again.");
} }, "Make a secret");

// begin makes a new transport, from a preset or from nothing.
async function begin(view) {
  view.title("New transport");
  const [presets, mappings] = await Promise.all([get("api/belfry/presets/", {}, view.signal), all(paths.mappings, {}, view.signal)]);
  const place = h("div");
  const draw = () => {
    const preset = presets[Number(select.value)];
    put(place, preset && h("p.preset", {}, preset.description, " ", outside(preset.docs, "What it takes")), beginning(preset, mappings));
  };
  const select = h("select", { id: "preset", onchange: draw }, h("option", { value: "" }, "nothing"), presets.map((one, i) => h("option", { value: i }, one.name)));
  select.value = "";
  draw();
  put(view.root, back(view, "transports", "Transports"), h("header.title", {}, h("h1", {}, "New transport")),
    h("section.card", {}, h("div.field.first", {}, h("label", { for: "preset" }, "Begin with"), select), place));
}

function beginning(preset, mappings) {
  const blank = { name: preset?.name ?? "", mode: "webhook", webhook_url: preset?.webhook_url ?? "", send_once: Boolean(preset) };
  const parts = preset ? [["body", "Body", preset.body], ["headers", "Headers", preset.headers]].filter(([, , text]) => text) : [];
  const made = {}; // the mappings that were made before something else failed
  return form({
    fields: fieldsOf(blank, mappings, parts.map(([key, label, value]) => ({ name: key, label: `${label}: the mapping that is made`, type: "code", value, rows: Math.min(14, value.split("\n").length + 1) }))),
    submit: "Make the transport",
    send: async ({ body, headers, ...values }) => {
      const texts = { body, headers };
      for (const [key] of parts) made[key] = await mapping(`${values.name} ${key}`, texts[key], made[key], key);
      const own = preset ? { webhook_mapping: made.body, webhook_mapping_headers: made.headers } : {};
      return post(paths.transports, bodyOf({ ...values, ...own }));
    },
    done: (answer) => {
      say("The transport was made. Try it with a test.");
      location.replace(to(["transports", answer.pk]));
    },
  });
}

// mapping makes a mapping, or changes the one that was made before. What is wrong with it is said of the field key.
async function mapping(name, expression, pk, key) {
  try {
    const fields = { name, expression };
    return (await (pk ? patch(`${paths.mappings}${pk}/`, fields) : post(paths.mappings, fields))).pk;
  } catch (error) {
    if (!(error instanceof Problem) || !error.fields.expression) throw error;
    throw new Problem(error.status, error.message, { [key]: error.fields.expression });
  }
}

// test sends a test and shows what was sent and what was answered.
function test(transport) {
  const place = h("div.tested", { role: "status" });
  const run = button("", { onclick: async () => {
    run.disabled = true;
    put(place, h("p.hint", {}, "Sending …"));
    try {
      await post(`${paths.transports}${transport.pk}/test/`);
      put(place, tag("The test worked", "check", "good"), transport.mode === "local" ? h("p", {}, "It stands in your ", h("a", { href: to(["inbox"]) }, "inbox"), ".") : "");
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      put(place, tag("The test failed", "alert", "alert"), h("p.text", {}, error.message));
    } finally {
      run.disabled = false;
    }
    if (transport.mode !== "local") await lastTest(transport, place).catch(complain);
  } }, icon("transport"), "Send a test");
  return card("Test", h("p.hint", {}, "Sends one message to you, as the transport is saved, and shows the answer."), h("p", {}, run), place);
}

// lastTest shows the newest delivery of a test.
async function lastTest(transport, place) {
  const { results } = await get(paths.deliveries, { transport: transport.pk, ordering: "-created", page_size: 20 });
  const newest = results.find((one) => one.rule === null);
  if (newest) place.append(...sent(await get(`${paths.deliveries}${newest.pk}/`)).flat(2).filter(Boolean));
}
