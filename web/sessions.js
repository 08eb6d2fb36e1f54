// Tables of sessions: one's own in the settings, everybody's for administrators.
import { remove } from "./api.js";
import { button, h } from "./dom.js";
import { cut } from "./facts.js";
import { table } from "./table.js";
import { time } from "./time.js";
import { attempt, say } from "./toast.js";

// sessionTable is the table of the sessions at path; with owners it says whose they are.
export function sessionTable({ path, query, label, signal, owners = false }) {
  const end = async (one) => {
    await remove(`${path}${one.pk}/`);
    say("The session has ended.");
    await list.read();
  };
  const list = table({
    path, query, label, signal, empty: h("p.hint", {}, "Nobody is signed in like this."),
    columns: [
      owners && ["User", (one) => h("b", {}, one.username)],
      ["Browser", (one) => [h(owners ? "span" : "b", { title: one.user_agent }, browser(one.user_agent)), one.current && h("span.tag", {}, "this one")]],
      ["Address", (one) => one.client_ip ?? "unknown"],
      ["Opened", (one) => [owners && time(one.created), one.method === "token" ? " by token" : " by password"]],
      ["Used", (one) => time(one.last_used)],
      ["Ends", (one) => time(one.expires)],
      ["", (one) => !one.current && button("", { "aria-label": `End the session of ${one.username}`, onclick: () => attempt(() => end(one)) }, "End")],
    ].filter(Boolean),
  });
  return list;
}

// browser is what a user agent is, as far as a glance can tell.
function browser(agent) {
  const found = (pairs) => pairs.find(([pattern]) => pattern.test(agent))?.[1];
  const name = found([[/Edg\//, "Edge"], [/OPR\//, "Opera"], [/Firefox\//, "Firefox"], [/Chrom(e|ium)\//, "Chrome"], [/Safari\//, "Safari"]]);
  const system = found([[/Android/, "Android"], [/iPhone|iPad/, "iOS"], [/Windows/, "Windows"], [/Mac OS X/, "macOS"], [/Linux/, "Linux"]]);
  return name ? `${name}${system ? ` on ${system}` : ""}` : cut(agent || "Unknown browser", 80);
}
