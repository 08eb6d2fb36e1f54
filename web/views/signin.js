// Sign in: with a user name and a password, or with a token.
import { button, h, put } from "../dom.js";
import { form } from "../form.js";
import { signIn } from "../session.js";

const ways = {
  password: {
    label: "User name and password",
    fields: [
      { name: "username", label: "User name", autocomplete: "username", autocapitalize: "none", spellcheck: "false" },
      { name: "password", label: "Password", type: "password", autocomplete: "current-password" },
    ],
  },
  token: {
    label: "Token",
    fields: [{ name: "token", label: "Token", type: "password", autocomplete: "off", placeholder: "blf_…",
      hint: "The first start printed one; belfry token create makes another. What it may not do, this page may not do either." }],
  },
};

// open fills root and calls done once somebody is signed in.
export function open({ root, done }) {
  const fields = panel(done);
  put(root, h("main.lone", {},
    h("img", { src: "icon.svg", alt: "", width: 48, height: 48 }),
    h("h1", {}, "Sign in to Belfry"),
    h("div.card", {}, fields),
    h("p.hint", {}, "First time here? Sign in with the token that Belfry printed when it started, then choose a password in the settings.")));
  fields.querySelector("input").focus();
}

// panel is the form alone.
export function panel(done) {
  const place = h("div", {});
  const choices = Object.keys(ways).map((way) => button("", { onclick: () => choose(way), "data-way": way }, ways[way].label));
  const forms = {}; // kept, so that what was typed is still there on the way back

  function choose(way) {
    for (const choice of choices) choice.setAttribute("aria-pressed", choice.dataset.way === way);
    forms[way] ??= form({ fields: ways[way].fields, submit: "Sign in", send: (values) => signIn(trimmed(values)), done: () => {
      localStorage.setItem("sign-in", way);
      done();
    } });
    put(place, forms[way]);
    place.querySelector("input").focus();
  }

  choose(localStorage.getItem("sign-in") === "token" ? "token" : "password");
  return h("div.ways", {}, h("div.switch", { role: "group", "aria-label": "How to sign in" }, choices), place);
}

const trimmed = ({ token, ...rest }) => (token === undefined ? rest : { token: token.trim() });
