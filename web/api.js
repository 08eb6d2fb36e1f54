// Talks to the server: the same API as everybody else's, with the session's cookie. What goes wrong is thrown as a Problem,
// in words for a person.

// Problem is a failed request. fields are the complaints by field name, each a list of sentences; message is all of it on
// one line. status 0 means that there was no answer.
export class Problem extends Error {
  constructor(status, message, fields = {}) {
    super(message);
    this.status = status;
    this.fields = fields;
  }
}

const unreachable = "The server cannot be reached. Is it running, and are you online?";

// What the server answers to those who are not, or no longer, signed in.
const strangers = ["Authentication credentials were not provided.", "Token invalid/expired"];

let signedOut = () => {};

// onSignedOut says what to do when the session turns out to be over.
export function onSignedOut(fn) {
  signedOut = fn;
}

// request makes one request and returns the decoded answer, null where there is none. Paths are relative to the page, which
// may be served below a prefix. query may hold lists; empty values are left out.
export async function request(method, path, { query, body, signal } = {}) {
  const options = { method, signal, headers: { Accept: "application/json" } };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let answer, text;
  try {
    answer = await fetch(path + search(query), options);
    text = await answer.text();
  } catch (error) {
    throw error.name === "AbortError" ? error : new Problem(0, unreachable);
  }
  const decoded = decode(text);
  if (answer.ok) return decoded;
  const problem = problemOf(answer.status, decoded);
  if (answer.status === 403 && strangers.includes(decoded?.detail)) signedOut(problem);
  throw problem;
}

export const get = (path, query, signal) => request("GET", path, { query, signal });
export const post = (path, body) => request("POST", path, { body });
export const put = (path, body) => request("PUT", path, { body });
export const patch = (path, body) => request("PATCH", path, { body });
export const remove = (path) => request("DELETE", path);

// all reads a whole collection: for what there are dozens of.
export async function all(path, query, signal) {
  const results = [];
  for (let page = 1; page > 0;) {
    const answer = await get(path, { ...query, page_size: 1000, page }, signal);
    results.push(...answer.results);
    page = answer.pagination.next;
  }
  return results;
}

// search writes a query string.
export function search(query = {}) {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    for (const one of [value].flat()) if (one !== "" && one !== null && one !== undefined) params.append(key, one);
  }
  const text = params.toString();
  return text ? `?${text}` : "";
}

function decode(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

// problemOf puts Django REST framework's answers into words: {"detail": …}, {"field": [sentences]}, or nested ones.
function problemOf(status, decoded) {
  if (typeof decoded?.detail === "string") return new Problem(status, decoded.detail);
  const fields = {};
  gather(fields, "", decoded);
  const sentences = Object.entries(fields).flatMap(([name, all]) => all.map((one) => (name === "non_field_errors" ? one : `${name}: ${one}`)));
  return new Problem(status, sentences.join(" ") || `The server answered ${status}.`, fields);
}

function gather(fields, name, value) {
  if (typeof value === "string") (fields[name || "non_field_errors"] ??= []).push(value);
  else if (Array.isArray(value)) for (const one of value) gather(fields, name, one);
  else if (value && typeof value === "object") {
    for (const [key, inner] of Object.entries(value)) gather(fields, name ? `${name}.${key}` : key, inner);
  }
}

// each does work for every item, a few at a time, and throws the first Problem once all are through.
export async function each(items, work) {
  const waiting = [...items];
  let failed;
  const worker = async () => {
    while (waiting.length) {
      try {
        await work(waiting.shift());
      } catch (error) {
        failed ??= error;
      }
    }
  };
  await Promise.all(Array.from({ length: 4 }, worker));
  if (failed) throw failed;
}
